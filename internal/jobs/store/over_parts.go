package store

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"cellblock/internal/jobs"
)

// pipelines has a pipeline for each client that it was asked for.
type pipelines map[redis.UniversalClient]redis.Pipeliner

func (p pipelines) of(client redis.UniversalClient) redis.Pipeliner {
	if p[client] == nil {
		p[client] = client.Pipeline()
	}
	return p[client]
}

// exec executes all of them at the same time. It returns the first error that is not redis.Nil.
func (p pipelines) exec(ctx context.Context) error {
	if len(p) == 1 { // without goroutines, as with a single Redis
		for _, pipeline := range p {
			return execute(ctx, pipeline)
		}
	}
	var all errgroup.Group
	for _, pipeline := range p {
		all.Go(func() error { return execute(ctx, pipeline) })
	}
	return all.Wait()
}

func execute(ctx context.Context, pipeline redis.Pipeliner) error {
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}

// idsByPart groups ids by the client of their part, in their order.
func (s *Store) idsByPart(ids []string) map[redis.UniversalClient][]any {
	groups := map[redis.UniversalClient][]any{}
	for _, id := range ids {
		groups[s.of(id)] = append(groups[s.of(id)], id)
	}
	return groups
}

// openCounts are the numbers of open jobs of each part, as ReadLoad read them last. It is safe for concurrent use.
type openCounts struct {
	mu    sync.Mutex
	parts []int
}

func (o *openCounts) set(parts []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = parts
}

// limitOf returns how many jobs may be open in one of n parts, if limit jobs may be in all (0 for any number): those
// that the others do not have, and at least one.
func (o *openCounts) limitOf(part, n, limit int) int {
	if n == 1 || limit <= 0 {
		return limit
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	others := 0
	for i, open := range o.parts {
		if i != part {
			others += open
		}
	}
	return max(1, limit-others)
}

// NewID returns an id for a job of a tenant. With bounded, all ids of the tenant are in one part, where its numbers of
// open and of running jobs are exact.
func (s *Store) NewID(tenant jobs.Tenant, bounded bool) string {
	id := jobs.NewID()
	for bounded && s.parts.Index(id) != s.parts.Index(string(tenant)) {
		id = jobs.NewID()
	}
	return id
}

// merged adds up usage of the same tenant, day and label, in the order of the first ones.
func merged(rows []jobs.DayUsage) []jobs.DayUsage {
	type key struct {
		day, label string
		hasLabel   bool
	}
	at, sums := map[key]int{}, rows[:0:0]
	for _, row := range rows {
		k := key{day: row.Day.Format(jobs.DayFormat), hasLabel: row.Label != nil}
		if k.hasLabel {
			k.label = *row.Label
		}
		i, known := at[k]
		if !known {
			at[k] = len(sums)
			sums = append(sums, row)
			continue
		}
		sum := &sums[i]
		sum.CPU, sum.Wall = sum.CPU+row.CPU, sum.Wall+row.Wall
		sum.BytesIn, sum.BytesOut = sum.BytesIn+row.BytesIn, sum.BytesOut+row.BytesOut
		for outcome, n := range row.Jobs {
			sum.Jobs[outcome] += n
		}
	}
	return sums
}

// compareUsage orders the rows of one tenant: by day, and those without a label first.
func compareUsage(a, b jobs.DayUsage) int {
	label := func(row jobs.DayUsage) string {
		if row.Label == nil {
			return ""
		}
		return "=" + *row.Label
	}
	return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(label(a), label(b)))
}
