package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// The index of labels is one sorted set with a member for each label of each job: labelHash, a space and the id. All
// have score 0, so the jobs of one label are neighbours, by age. Like the index of all jobs, it never lacks a job that
// exists, and the reaper removes those whose records have expired; so its size is bounded by the number of records,
// however many different labels there are. A job with labels costs one more command, and one without none.

// labelHash identifies a label of a tenant in the index: 16 characters. It has a fixed length, and clients cannot reach
// the members of other labels or tenants. If two have the same all the same, List finds that in the records.
func labelHash(tenant jobs.Tenant, key, value string) string {
	sum := sha256.Sum256([]byte(string(tenant) + "\n" + key + "\n" + value))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// labelHashes returns the hashes of a job's labels for acceptScript, each after a space.
func labelHashes(job jobs.Job) string {
	var hashes strings.Builder
	for _, key := range slices.Sorted(maps.Keys(job.Labels)) {
		hashes.WriteString(" " + labelHash(decodeTenant(encodeTenant(job.Tenant)), key, job.Labels[key]))
	}
	return hashes.String()
}

// encodeLabels returns the stored form of labels: JSON without spaces, which the header of a published record needs; ""
// for none.
func encodeLabels(labels map[string]string) (string, error) {
	if len(labels) == 0 {
		return "", nil
	}
	encoded, err := json.Marshal(labels, json.Deterministic(true))
	return string(encoded), err
}

// decodeLabels returns the labels of a record. Invalid ones count as none: labels must not keep a record from being
// read.
func decodeLabels(stored string) map[string]string {
	if stored == "" {
		return nil
	}
	var labels map[string]string
	if err := json.Unmarshal([]byte(stored), &labels); err != nil {
		return nil
	}
	return labels
}

// rarestLabels returns, for each tenant, the hash of that of the labels which the fewest of its indexed jobs have.
func (s *Store) rarestLabels(
	ctx context.Context, tenants []jobs.Tenant, labels map[string]string,
) ([]string, error) {
	rarest := make([]string, len(tenants))
	all := pipelines{}
	counts := make([]map[string][]*redis.IntCmd, len(tenants))
	for i, tenant := range tenants {
		counts[i] = map[string][]*redis.IntCmd{}
		for key, value := range labels {
			rarest[i] = labelHash(tenant, key, value)
			for _, part := range s.parts.All() {
				if len(labels) > 1 {
					counts[i][rarest[i]] = append(counts[i][rarest[i]],
						all.of(part).ZLexCount(ctx, labelsKey, "["+rarest[i]+" ", "("+rarest[i]+"!"))
				}
			}
		}
	}
	if len(all) == 0 {
		return rarest, nil
	}
	if err := all.exec(ctx); err != nil {
		return nil, fmt.Errorf("count the jobs with %d labels: %w", len(labels), err)
	}
	for i := range rarest {
		for hash, count := range counts[i] {
			if sumOf(count) < sumOf(counts[i][rarest[i]]) {
				rarest[i] = hash
			}
		}
	}
	return rarest, nil
}

func sumOf(counts []*redis.IntCmd) (sum int64) {
	for _, count := range counts {
		sum += count.Val()
	}
	return sum
}

// SweepLabels scans n entries of the index of labels after cursor ("" for the start), removes those whose records have
// expired, and returns how many these were, and the next cursor, "" at the end.
func (s *Store) SweepLabels(ctx context.Context, cursor string, n int) (removed int, next string, err error) {
	return s.sweepIndex(ctx, labelsKey, cursor, n, func(members []string) ([]any, error) {
		return s.expiredLabels(ctx, members)
	})
}

// expiredLabels returns those of the members of the index of labels whose jobs have no record. An open job without one
// needs no entry either: it has no labels.
func (s *Store) expiredLabels(ctx context.Context, members []string) (gone []any, err error) {
	ids := make([]string, len(members))
	for i, member := range members {
		_, ids[i], _ = strings.Cut(member, " ")
	}
	there, err := s.haveRecords(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, member := range members {
		if !there[i] {
			gone = append(gone, member)
		}
	}
	return gone, nil
}

// IndexedLabels counts the labels in the index.
func (s *Store) IndexedLabels(ctx context.Context) (int, error) {
	n, err := s.only().ZCard(ctx, labelsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("count the indexed labels: %w", err)
	}
	return int(n), nil
}
