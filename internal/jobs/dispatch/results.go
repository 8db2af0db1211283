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

// BatchResults calls tell with the results of a batch's lines in the order in which they ended, without the first
// after ones. With follow it continues until all lines have ended. It calls tell with no results at the start, and
// whenever no line has ended for idle. It returns nil at the end, an error of tell or ctx, or a *jobs.Error with
// CodeNotFound or CodeUnavailable.
func (d *Dispatcher) BatchResults(ctx context.Context, id string, after int, follow bool, idle time.Duration, tell func([]jobs.ItemResult) error) error {
	record, err := d.store.Batch(ctx, id)
	if err == nil {
		err = d.countOpen(ctx, &record) // which ends the lost ones
	}
	if err != nil {
		return explain(ctx, "the batch could not be read", err)
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

// tellEnded calls tell with the results of the lines that have ended after the first told ones, and returns the new
// count.
func (d *Dispatcher) tellEnded(ctx context.Context, record store.BatchRecord, told int, tell func([]jobs.ItemResult) error) (int, error) {
	lines, err := d.store.BatchEnded(ctx, record.ID, told)
	if err != nil {
		return told, explain(ctx, "the batch could not be read", err)
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
			return told, explain(ctx, "a result could not be read", err)
		}
	}
	return told, nil
}

func tellAndRelease(results []jobs.ItemResult, tell func([]jobs.ItemResult) error) error {
	defer func() {
		for _, result := range results {
			if result.Record != nil {
				result.Record.Release()
			}
		}
	}()
	return tell(results)
}

// awaitMore waits until more than told lines have ended. Every idle it ends lost lines and calls tell with no results.
func (d *Dispatcher) awaitMore(ctx context.Context, heard <-chan struct{}, id string, told int, idle time.Duration, tell func([]jobs.ItemResult) error) error {
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
		// Without this, lost lines would never end if no other client reads the batch.
		record, err := d.store.Batch(ctx, id)
		if err == nil {
			err = d.countOpen(ctx, &record)
		}
		if err != nil {
			return explain(ctx, "the batch could not be read", err)
		}
		if err := tell(nil); err != nil {
			return err
		}
	}
}

// results reads the results of the first lines: at least one, and at most resultBytes plus the last one, unless it
// also returns an error. The caller releases the records.
func (d *Dispatcher) results(ctx context.Context, batch store.BatchRecord, lines []int) ([]jobs.ItemResult, error) {
	var results []jobs.ItemResult
	for held := 0; len(results) < len(lines) && held < resultBytes; {
		result, err := d.result(ctx, batch, lines[len(results)])
		if err != nil {
			return results, err
		}
		results = append(results, result)
		if result.Record != nil {
			if result.Record.Large() {
				break // never wait for room while holding some
			}
			outcome := result.Record.Outcome
			held += len(outcome.Result) + len(outcome.Stdout) + len(outcome.Stderr)
		}
	}
	return results, nil
}

func (d *Dispatcher) result(ctx context.Context, batch store.BatchRecord, line int) (jobs.ItemResult, error) {
	result := jobs.ItemResult{Index: line, Err: batch.Refused[line]}
	if result.Err != nil {
		return result, nil
	}
	record, err := d.store.Hold(ctx, batch.JobIDs[line], patience)
	switch {
	case jobs.CodeOf(err) == jobs.CodeNotFound:
		// It was refused after the batch was read, or has expired.
		bounded, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if result.Err, err = d.store.Refusal(bounded, jobs.BatchItem{BatchID: batch.ID, Index: line}); err != nil {
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
