package reaper

import (
	"context"

	"cellblock/internal/jobs"
)

const (
	// sweepShare is the number of passes in which all indexes are swept, in chunks of at least sweepLeast, and of at
	// least sweepMore after a chunk in which records had expired: most of them expire together.
	sweepShare, sweepLeast, sweepMore = 600, 2, 100
	// tenantsPerPass bounds the indexes of one pass: most tenants may have no jobs any more.
	tenantsPerPass = 10
)

// sweep is where the sweep of the indexes goes on.
type sweep struct {
	// tenants are those whose indexes are left of this round, and total is how many jobs all had at its start.
	tenants []jobs.Tenant
	total   int
	// cursor is the position in the index of the first of them.
	cursor string
	// expired is how many records of the last chunk had expired.
	expired int
}

// sweepIndexes removes expired jobs from the next part of the indexes.
func (r *Reaper) sweepIndexes(ctx context.Context) (err error) {
	if len(r.sweep.tenants) == 0 {
		tenants, err := r.store.Tenants(ctx)
		if err != nil {
			return err
		}
		if r.sweep.total, err = r.store.Indexed(ctx, tenants); err != nil || r.sweep.total == 0 {
			return err
		}
		r.sweep.tenants, r.sweep.cursor = tenants, ""
	}
	for range tenantsPerPass {
		n, err := r.store.Indexed(ctx, r.sweep.tenants[:1])
		if err != nil {
			return err
		}
		if n > 0 {
			return r.sweepIndex(ctx, n)
		}
		if r.endIndex(); len(r.sweep.tenants) == 0 {
			return nil
		}
	}
	return nil
}

// sweepIndex sweeps a chunk of the first tenant's index, which has n jobs.
func (r *Reaper) sweepIndex(ctx context.Context, n int) (err error) {
	least := sweepLeast
	if r.sweep.expired > 0 {
		least = sweepMore
	}
	// The index may have grown since the round began.
	chunk := max(least, r.sweep.total/sweepShare, n/sweepShare)
	r.sweep.expired, r.sweep.cursor, err = r.store.Sweep(ctx, r.sweep.tenants[0], r.sweep.cursor, chunk)
	if err == nil && r.sweep.cursor == "" {
		r.endIndex()
	}
	return err
}

// endIndex goes on to the next tenant's index.
func (r *Reaper) endIndex() { r.sweep.tenants, r.sweep.cursor = r.sweep.tenants[1:], "" }
