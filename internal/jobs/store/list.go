package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// maxScan is the maximum number of jobs scanned for one page.
const maxScan = 1000

// idSlack is how far the time in a job's id may be from its created_at: the API's clock before it stored the job, and
// Redis's clock when it did.
const idSlack = 15 * time.Second

// List returns a page of the jobs that the caller sees, newest first. It scans at most maxScan jobs.
func (s *Store) List(ctx context.Context, caller jobs.Caller, query jobs.ListQuery) (jobs.Page, error) {
	indexes, err := s.indexesOf(ctx, caller, query)
	if err != nil {
		return jobs.Page{}, err
	}
	page, from := jobs.Page{}, query.Before
	all := mergedIndex{indexes: indexes}
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

// indexesOf returns the index of each tenant, in each part, with the fewest jobs that has all of its jobs of a query,
// about within the query's bounds of time.
func (s *Store) indexesOf(
	ctx context.Context, caller jobs.Caller, query jobs.ListQuery,
) ([]*tenantIndex, error) {
	tenants, err := s.listed(ctx, caller, query.Tenant)
	if err != nil {
		return nil, err
	}
	low, high := "0", "g" // ids are hexadecimal
	if !query.Since.IsZero() {
		low = idAt(query.Since.Add(-idSlack))
	}
	if !query.Until.IsZero() {
		high = idAt(query.Until.Add(idSlack))
	}
	if query.Before != "" {
		high = min(high, query.Before)
	}
	rarest, err := s.rarestLabels(ctx, tenants, query.Labels)
	if err != nil {
		return nil, err
	}
	indexes := make([]*tenantIndex, 0, len(tenants)*s.parts.Len())
	for i, tenant := range tenants {
		for _, part := range s.parts.All() {
			index := &tenantIndex{client: part, key: allKey(tenant), low: low, high: high}
			if len(query.Labels) > 0 {
				index.key, index.prefix = labelsKey, rarest[i]+" "
			}
			indexes = append(indexes, index)
		}
	}
	return indexes, nil
}

// idAt returns the beginning of the ids of version 7 (RFC 9562) that were made in the millisecond of t.
func idAt(t time.Time) string {
	const last = 1<<48 - 1
	ms := min(max(t.UnixMilli(), 0), last)
	return fmt.Sprintf("%08x-%04x", ms>>16, ms&0xffff)
}

// headFields are the fields of a record that a list shows, or by which it selects.
var headFields = []string{
	"state", "tenant", "created_at", "started_at", "finished_at", "environment", "code", "labels",
}

// heads reads records without their outcomes. The State of an expired record, and of one that the caller does not see,
// is "".
func (s *Store) heads(ctx context.Context, caller jobs.Caller, ids []string) ([]jobs.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.parts.ByID().Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), headFields...)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d jobs: %w", len(ids), err)
	}
	records := make([]jobs.Record, len(ids))
	for i, id := range ids {
		fields := texts(replies[i].Val())
		tenant := decodeTenant(fields[1])
		if !caller.Sees(tenant) {
			continue
		}
		records[i] = jobs.Record{
			ID: id, State: jobs.State(fields[0]), Tenant: tenant,
			CreatedAt: parseTime(fields[2]), StartedAt: parseTime(fields[3]), FinishedAt: parseTime(fields[4]),
			Environment: fields[5], Code: jobs.Code(fields[6]), Labels: decodeLabels(fields[7]),
		}
	}
	return records, nil
}
