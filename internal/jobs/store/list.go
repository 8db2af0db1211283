package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// maxScan is the maximum number of jobs scanned for one page.
const maxScan = 1000

// List returns a page of jobs, newest first. It scans at most maxScan jobs.
func (s *Store) List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error) {
	page := jobs.Page{}
	from := query.Before
	for scanned := 0; scanned < maxScan; {
		n := min(max(2*query.Limit, 50), maxScan-scanned)
		high := "+"
		if from != "" {
			high = "(" + from
		}
		ids, err := s.client.ZRevRangeByLex(ctx, allKey, &redis.ZRangeBy{Min: "-", Max: high, Count: int64(n)}).Result()
		if err != nil {
			return jobs.Page{}, fmt.Errorf("list the jobs: %w", err)
		}
		records, err := s.heads(ctx, ids)
		if err != nil {
			return jobs.Page{}, err
		}
		for i, record := range records {
			from = ids[i]
			if record.State == "" || query.State != "" && record.State != query.State {
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

// heads reads records without their outcomes. The State of an expired record is "".
func (s *Store) heads(ctx context.Context, ids []string) ([]jobs.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), "state", "created_at", "started_at", "finished_at")
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
		}
	}
	return records, nil
}
