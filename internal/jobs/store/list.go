package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// maxScan is the maximum number of jobs scanned for one page.
const maxScan = 1000

// idSlack is how far the time in a job's id may be from its created_at: the API's clock before it stored the job, and
// Redis's clock when it did.
const idSlack = 15 * time.Second

// List returns a page of jobs, newest first. It scans at most maxScan jobs.
func (s *Store) List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error) {
	page := jobs.Page{}
	index, err := s.indexOf(ctx, query)
	if err != nil {
		return jobs.Page{}, err
	}
	from := query.Before
	for scanned := 0; scanned < maxScan; {
		n := min(max(2*query.Limit, 50), maxScan-scanned)
		ids, err := s.scan(ctx, index, query, from, n)
		if err != nil {
			return jobs.Page{}, fmt.Errorf("list the jobs: %w", err)
		}
		records, err := s.heads(ctx, ids)
		if err != nil {
			return jobs.Page{}, err
		}
		for i, record := range records {
			from = ids[i]
			if record.State == "" || !query.Matches(record) {
				continue
			}
			if page.Jobs = append(page.Jobs, record); len(page.Jobs) == query.Limit {
				page.Next = from
				return page, nil
			}
		}
		if len(ids) < n {
			return page, nil
		}
		scanned += len(ids)
	}
	page.Next = from
	return page, nil
}

// jobIndex is an index of jobs by age: the members of a sorted set that begin with a prefix, without it.
type jobIndex struct{ key, prefix string }

// indexOf returns the index with the fewest jobs that has all jobs of a query.
func (s *Store) indexOf(ctx context.Context, query jobs.ListQuery) (jobIndex, error) {
	if len(query.Labels) == 0 {
		return jobIndex{key: allKey}, nil
	}
	hash, err := s.rarestLabel(ctx, query)
	return jobIndex{key: labelsKey, prefix: hash + " "}, err
}

// scan returns the n newest ids of an index that are older than the job with the id before ("" for none), and about
// within the query's bounds of time.
func (s *Store) scan(
	ctx context.Context, index jobIndex, query jobs.ListQuery, before string, n int,
) ([]string, error) {
	low, high := "0", "g" // ids are hexadecimal
	if !query.Since.IsZero() {
		low = idAt(query.Since.Add(-idSlack))
	}
	if !query.Until.IsZero() {
		high = idAt(query.Until.Add(idSlack))
	}
	if before != "" {
		high = min(high, before)
	}
	ids, err := s.client.ZRevRangeByLex(ctx, index.key, &redis.ZRangeBy{
		Min: "[" + index.prefix + low, Max: "(" + index.prefix + high, Count: int64(n),
	}).Result()
	for i, member := range ids {
		ids[i] = strings.TrimPrefix(member, index.prefix)
	}
	return ids, err
}

// idAt returns the beginning of the ids of version 7 (RFC 9562) that were made in the millisecond of t.
func idAt(t time.Time) string {
	const last = 1<<48 - 1
	ms := min(max(t.UnixMilli(), 0), last)
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// headFields are the fields of a record that a list shows, or by which it selects.
var headFields = []string{
	"state", "created_at", "started_at", "finished_at", "tenant", "environment", "code", "labels",
}

// heads reads records without their outcomes. The State of an expired record is "".
func (s *Store) heads(ctx context.Context, ids []string) ([]jobs.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), headFields...)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d jobs: %w", len(ids), err)
	}
	records := make([]jobs.Record, len(ids))
	for i, id := range ids {
		values := replies[i].Val()
		text := func(n int) string { s, _ := values[n].(string); return s }
		records[i] = jobs.Record{
			ID: id, State: jobs.State(text(0)),
			CreatedAt: parseTime(text(1)), StartedAt: parseTime(text(2)), FinishedAt: parseTime(text(3)),
			Tenant: decodeTenant(text(4)), Environment: text(5), Code: jobs.Code(text(6)),
			Labels: decodeLabels(text(7)),
		}
	}
	return records, nil
}
