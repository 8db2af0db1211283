package reaper

import (
	"context"

	"cellblock/internal/jobs"
)

const (
	// sweepShare is the number of passes in which all indexes are swept, in chunks of at least sweepLeast, and of at
	// least sweepMore after a chunk in which records had expired: most of them expire together.
	sweepShare, sweepLeast, sweepMore = 600, 2, 100
	// labelsPause is the number of passes between two looks at an empty index of labels: most services have no labels.
	labelsPause = 20
	// tenantsPerPass bounds the indexes of one pass: most tenants may have no jobs any more, or a few.
	tenantsPerPass = 20
)

// sweep is where the sweep of the indexes goes on.
type sweep struct {
	// tenants are those whose indexes are left of this round, and total is how many jobs all had at its start.
	tenants []jobs.Tenant
	total   int
	// cursor is the position in the index of the first of them.
	cursor string
	// expired is how many records of the last pass's chunks had expired.
	expired int
	// labelsCursor and labelsExpired are the same for the index of labels.
	labelsCursor  string
	labelsExpired int
	// labelsPause is the number of passes until the next look at an index of labels that was empty.
	labelsPause int
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
	least := sweepLeast
	if r.sweep.expired > 0 {
		least = sweepMore
	}
	left := max(least, r.sweep.total/sweepShare)
	r.sweep.expired = 0
	for range tenantsPerPass {
		n, err := r.store.Indexed(ctx, r.sweep.tenants[:1])
		if err != nil {
			return err
		}
		if left, err = r.sweepIndex(ctx, n, left); err != nil || left <= 0 || len(r.sweep.tenants) == 0 {
			return err
		}
	}
	return nil
}

// sweepIndex sweeps a chunk of the first tenant's index, which has n jobs, and returns how many of the jobs that were
// left for this pass still are.
func (r *Reaper) sweepIndex(ctx context.Context, n, left int) (int, error) {
	if n == 0 {
		r.endIndex()
		return left, nil
	}
	chunk := max(left, n/sweepShare) // the index may have grown since the round began
	expired, cursor, err := r.store.Sweep(ctx, r.sweep.tenants[0], r.sweep.cursor, chunk)
	if err != nil {
		return 0, err
	}
	r.sweep.expired += expired
	if r.sweep.cursor = cursor; cursor != "" {
		return 0, nil
	}
	r.endIndex()
	return left - min(n, chunk), nil
}

// endIndex goes on to the next tenant's index.
func (r *Reaper) endIndex() { r.sweep.tenants, r.sweep.cursor = r.sweep.tenants[1:], "" }

// sweepLabels removes expired jobs from the next part of the index of labels.
func (r *Reaper) sweepLabels(ctx context.Context) error {
	if r.sweep.labelsPause > 0 {
		r.sweep.labelsPause--
		return nil
	}
	n, err := r.store.IndexedLabels(ctx)
	if err != nil {
		return err
	}
	if n == 0 {
		r.sweep.labelsPause = labelsPause
		return nil
	}
	least := sweepLeast
	if r.sweep.labelsExpired > 0 {
		least = sweepMore
	}
	r.sweep.labelsExpired, r.sweep.labelsCursor, err = r.store.SweepLabels(ctx, r.sweep.labelsCursor,
		max(least, n/sweepShare))
	return err
}
