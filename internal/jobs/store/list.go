package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// maxScan is the maximum number of jobs scanned for one page.
const maxScan = 1000

// List returns a page of the jobs that the caller sees, newest first. It scans at most maxScan jobs.
func (s *Store) List(ctx context.Context, caller jobs.Caller, query jobs.ListQuery) (jobs.Page, error) {
	tenants, err := s.listed(ctx, caller, query.Tenant)
	if err != nil {
		return jobs.Page{}, err
	}
	page, from := jobs.Page{}, query.Before
	all := newMergedIndex(s.client, tenants, query.Before)
	for scanned := 0; scanned < maxScan; {
		n := min(max(2*query.Limit, 50), maxScan-scanned)
		ids, err := all.next(ctx, n)
		if err != nil {
			return jobs.Page{}, fmt.Errorf("list the jobs: %w", err)
		}
		records, err := s.heads(ctx, caller, ids)
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

// listed returns the tenants whose jobs to list: the named one, or with "" all that the caller sees. One that the
// caller does not see counts as one without jobs.
func (s *Store) listed(ctx context.Context, caller jobs.Caller, named jobs.Tenant) ([]jobs.Tenant, error) {
	switch {
	case named != "" && caller.Sees(named):
		return []jobs.Tenant{named}, nil
	case named != "" || caller.Tenant == "":
		return nil, nil
	case viewerOf(caller) == everyTenant:
		return s.Tenants(ctx)
	default:
		return []jobs.Tenant{caller.Tenant}, nil
	}
}

// heads reads records without their outcomes. The State of an expired record, and of one that the caller does not see,
// is "".
func (s *Store) heads(ctx context.Context, caller jobs.Caller, ids []string) ([]jobs.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), "state", "created_at", "started_at", "finished_at", "tenant")
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d jobs: %w", len(ids), err)
	}
	records := make([]jobs.Record, len(ids))
	for i, id := range ids {
		fields := texts(replies[i].Val())
		tenant := decodeTenant(fields[4])
		if !caller.Sees(tenant) {
			continue
		}
		records[i] = jobs.Record{
			ID: id, Tenant: tenant, State: jobs.State(fields[0]),
			CreatedAt: parseTime(fields[1]), StartedAt: parseTime(fields[2]), FinishedAt: parseTime(fields[3]),
		}
	}
	return records, nil
}
