package dispatch

import (
	"context"
	"fmt"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// resultBytes bounds the batch results held for one reader, in bytes, not counting the last one, which may be large.
const resultBytes = 1 << 20

// BatchResults calls deliver with the results of a batch's items in the order in which they ended, without the first
// after ones. With follow it continues until all items have ended. It calls deliver with no results at the start, and
// whenever no item has ended for idle. It returns nil at the end, an error of deliver or ctx, or a *jobs.Error with
// CodeNotFound or CodeUnavailable.
func (d *Dispatcher) BatchResults(
	ctx context.Context, id string, after int, follow bool, idle time.Duration, deliver func([]jobs.ItemResult) error,
) error {
	record, err := d.store.Batch(ctx, jobs.CallerOf(ctx), id)
	if err == nil {
		err = d.countOpen(ctx, &record) // which ends the lost ones
	}
	if err != nil {
		return explain(ctx, "the batch could not be read", err)
	}
	if err := deliver(nil); err != nil {
		return err
	}
	notified, done := d.channel.Wait(store.BatchKey(id))
	defer done()
	if follow {
		if err := d.watchBatch(ctx, id); err != nil {
			return err
		}
	}
	for delivered := after; ; {
		if delivered, err = d.deliverEnded(ctx, record, delivered, deliver); err != nil {
			return err
		}
		if !follow || delivered >= record.Counts.Total {
			return nil
		}
		if err := d.awaitMore(ctx, notified, record.ID, delivered, idle, deliver); err != nil {
			return err
		}
	}
}

// deliverEnded calls deliver with the results of the items that have ended after the first delivered ones, and returns
// the new count.
func (d *Dispatcher) deliverEnded(
	ctx context.Context, record store.BatchRecord, delivered int, deliver func([]jobs.ItemResult) error,
) (int, error) {
	indexes, err := d.store.BatchEnded(ctx, record, delivered)
	if err != nil {
		return delivered, explain(ctx, "the batch could not be read", err)
	}
	for len(indexes) > 0 {
		n, err := d.deliverNext(ctx, record, indexes, deliver)
		indexes, delivered = indexes[n:], delivered+n
		if err != nil {
			return delivered, err
		}
	}
	return delivered, nil
}

// deliverNext calls deliver with the results of the first items and returns their number.
func (d *Dispatcher) deliverNext(
	ctx context.Context, record store.BatchRecord, indexes []int, deliver func([]jobs.ItemResult) error,
) (int, error) {
	results, release, err := d.results(ctx, record, indexes)
	defer release()
	if len(results) > 0 {
		if err := deliver(results); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return len(results), explain(ctx, "a result could not be read", err)
	}
	return len(results), nil
}

// awaitMore waits until more than delivered items have ended. Every idle it ends lost items and calls deliver with no
// results.
func (d *Dispatcher) awaitMore(
	ctx context.Context, notified <-chan struct{}, id string, delivered int, idle time.Duration,
	deliver func([]jobs.ItemResult) error,
) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, idle)
		err := d.awaitEnded(waiting, notified, id, delivered+1)
		late := waiting.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !late:
			return err
		}
		// Without this, lost items would never end if no other client reads the batch.
		record, err := d.store.Batch(ctx, jobs.CallerOf(ctx), id)
		if err == nil {
			err = d.countOpen(ctx, &record)
		}
		if err != nil {
			return explain(ctx, "the batch could not be read", err)
		}
		if err := deliver(nil); err != nil {
			return err
		}
	}
}

// results reads the results of the first items: at least one, and at most resultBytes plus the last one, unless it
// also returns an error. Only the last one may be large; release frees its memory.
func (d *Dispatcher) results(
	ctx context.Context, batch store.BatchRecord, indexes []int,
) (results []jobs.ItemResult, release func(), err error) {
	release = func() {}
	for held := 0; len(results) < len(indexes) && held < resultBytes; {
		var result jobs.ItemResult
		if result, release, err = d.result(ctx, batch, indexes[len(results)]); err != nil {
			return results, release, err
		}
		results = append(results, result)
		if result.Record == nil {
			continue
		}
		if held += result.Record.OutcomeBytes; result.Record.OutcomeBytes >= store.LargeRecord {
			break // never wait for memory while holding some
		}
	}
	return results, release, nil
}

func (d *Dispatcher) result(
	ctx context.Context, batch store.BatchRecord, index int,
) (jobs.ItemResult, func(), error) {
	result := jobs.ItemResult{Index: index, Err: batch.Refused[index]}
	if result.Err != nil {
		return result, func() {}, nil
	}
	record, release, err := d.store.ReadBudgeted(ctx, jobs.CallerOf(ctx), batch.JobIDs[index], d.settings.Patience)
	switch {
	case jobs.CodeOf(err) == jobs.CodeNotFound:
		// It was refused after the batch was read, or has expired.
		bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
		defer cancel()
		if result.Err, err = d.store.Refusal(bounded, jobs.BatchItem{BatchID: batch.ID, Index: index}); err != nil {
			return result, release, err
		}
		if result.Err == nil {
			result.Err = jobs.Errorf(jobs.CodeNotFound, "the job has expired")
		}
	case err != nil:
		return result, release, err
	case record.Outcome == nil:
		return result, release, fmt.Errorf("job %s is one of those that have ended, and %s", record.ID, record.State)
	default:
		result.Record = &record
	}
	return result, release, nil
}
