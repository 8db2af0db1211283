package dispatch

import (
	"context"
	"fmt"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// resultBytes is how much of a batch's results is held for one reader, in bytes,
// besides the last one, which may be large.
const resultBytes = 1 << 20

// BatchResults calls tell with what the lines of a batch gave, in the order of their
// ends, all but the first ones that the client has (after); and, if it is to follow,
// with what the others give, up to the last one, and with nothing whenever nothing
// has ended for idle, at first in any case. It returns nil at the end, and else
// tell's error, ctx's, or CodeNotFound or CodeUnavailable.
func (d *Dispatcher) BatchResults(ctx context.Context, id string, after int, follow bool, idle time.Duration, tell func([]jobs.BatchResult) error) error {
	record, err := d.store.Batch(ctx, id)
	if err == nil {
		err = d.countOpen(ctx, &record) // which ends those that were lost
	}
	if err != nil {
		return d.explain(ctx, "the batch could not be read", err)
	}
	if err := tell(nil); err != nil {
		return err
	}
	heard, done := d.topics.Wait(store.BatchChannel(id))
	defer done()
	for told := after; ; {
		if told, err = d.tellEnded(ctx, record, told, tell); err != nil {
			return err
		}
		if !follow || told >= record.Counts.Total {
			return nil
		}
		if err := d.awaitMore(ctx, heard, record.ID, told, idle, tell); err != nil {
			return err
		}
	}
}

// tellEnded tells of the lines that have ended, and how many have then been told.
func (d *Dispatcher) tellEnded(ctx context.Context, record store.BatchRecord, told int, tell func([]jobs.BatchResult) error) (int, error) {
	lines, err := d.store.BatchEnded(ctx, record.ID, told)
	if err != nil {
		return told, d.explain(ctx, "the batch could not be read", err)
	}
	for len(lines) > 0 {
		results, err := d.results(ctx, record, lines)
		if len(results) > 0 {
			if err := tellAndRelease(results, tell); err != nil {
				return told, err
			}
			lines, told = lines[len(results):], told+len(results)
		}
		if err != nil {
			return told, d.explain(ctx, "a result could not be read", err)
		}
	}
	return told, nil
}

func tellAndRelease(results []jobs.BatchResult, tell func([]jobs.BatchResult) error) error {
	defer func() {
		for _, result := range results {
			if result.Record != nil {
				result.Record.Release()
			}
		}
	}()
	return tell(results)
}

// awaitMore waits until more than told lines have ended.
func (d *Dispatcher) awaitMore(ctx context.Context, heard <-chan struct{}, id string, told int, idle time.Duration, tell func([]jobs.BatchResult) error) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, idle)
		err := d.awaitEnded(waiting, heard, id, told+1)
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
		// Nobody else might read the batch, so that lines that were lost would never end.
		record, err := d.store.Batch(ctx, id)
		if err == nil {
			err = d.countOpen(ctx, &record)
		}
		if err != nil {
			return d.explain(ctx, "the batch could not be read", err)
		}
		if err := tell(nil); err != nil {
			return err
		}
	}
}

// results reads what the first of the lines gave: at least one, and no more than
// may be held, unless it gives an error too. The caller releases the records.
func (d *Dispatcher) results(ctx context.Context, batch store.BatchRecord, lines []int) ([]jobs.BatchResult, error) {
	var results []jobs.BatchResult
	for held := 0; len(results) < len(lines) && held < resultBytes; {
		result, err := d.result(ctx, batch, lines[len(results)])
		if err != nil {
			return results, err
		}
		results = append(results, result)
		if result.Record != nil {
			if result.Record.Large() {
				break // nobody waits for room who holds some
			}
			outcome := result.Record.Outcome
			held += len(outcome.Result) + len(outcome.Stdout) + len(outcome.Stderr)
		}
	}
	return results, nil
}

func (d *Dispatcher) result(ctx context.Context, batch store.BatchRecord, line int) (jobs.BatchResult, error) {
	result := jobs.BatchResult{Index: line, Err: batch.Refused[line]}
	if result.Err != nil {
		return result, nil
	}
	record, err := d.store.Hold(ctx, batch.JobIDs[line], patience)
	switch {
	case jobs.IsNotFound(err):
		// Refused since the batch was read, or expired.
		bounded, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if result.Err, err = d.store.Refusal(bounded, jobs.BatchPlace{BatchID: batch.ID, Index: line}); err != nil {
			return result, err
		}
		if result.Err == nil {
			result.Err = jobs.Errorf(jobs.CodeNotFound, "the job has expired")
		}
	case err != nil:
		return result, err
	case record.Outcome == nil:
		return result, fmt.Errorf("job %s is one of those that have ended, and %s", record.ID, record.State)
	default:
		result.Record = &record
	}
	return result, nil
}
