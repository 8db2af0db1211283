package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// Execute accepts a job and waits for its end, for at most wait. If the job is running then and its wall deadline is
// at most a second later, it waits until that. It returns the job's current record: ended, running or queued.
//
// It returns a *jobs.Error with CodeUnavailable if Redis cannot be reached (within about a second if the job could not
// be accepted), or if this call created the job, no worker was alive for NoWorkerGrace and the job was withdrawn. If
// ctx ends first it returns ctx's error, and the job continues. Once the job was accepted, the record always has its
// id. stored is called once the job was stored or refused and the inputs are no longer held. The caller calls release
// when it no longer holds the record.
func (d *Dispatcher) Execute(
	ctx context.Context, request jobs.Request, requestID string, wait time.Duration, stored func(),
) (record jobs.Record, release func(), err error) {
	start := time.Now()
	var ended <-chan *jobs.Record
	done := func() {}
	job, err := d.accept(ctx, request, requestID, func(id string) {
		ended, done = d.waiters.Wait(id) // before enqueueing, so that no end is missed
	})
	defer func() { done() }()
	stored()
	if err != nil {
		return jobs.Record{}, func() {}, err
	}
	if !job.created {
		if record, release, err := d.read(ctx, job.id); err != nil || record.State.Ended() {
			return record, release, err
		}
	}
	return d.await(ctx, job, ended, start, wait)
}

// accepted is a job that a request waits for.
type accepted struct {
	id string
	// environment is "" for the default. It is unknown unless created.
	environment string
	// created reports whether this request created the job, and so may withdraw it.
	created bool
}

// await waits for the end of an accepted job, for at most wait from start. Results are Execute's.
func (d *Dispatcher) await(
	ctx context.Context, job accepted, ended <-chan *jobs.Record, start time.Time, wait time.Duration,
) (jobs.Record, func(), error) {
	id := job.id
	// A slow Redis must not hold up the check of the workers beyond the wait.
	waiting, cancel := context.WithDeadline(ctx, start.Add(wait))
	defer cancel()
	limit := time.NewTimer(wait - time.Since(start))
	defer limit.Stop()
	grace := time.NewTimer(d.settings.NoWorkerGrace)
	defer grace.Stop()
	for {
		select {
		case ending := <-ended:
			if ending != nil {
				return *ending, func() {}, nil
			}
			record, release, err := d.read(ctx, id)
			if isAway(err) {
				break // the periodic check wakes this wait again once Redis is back
			}
			if err != nil || record.State.Ended() {
				return record, release, err
			}
		case <-limit.C:
			return d.readAtDeadline(ctx, id, ended)
		case <-grace.C:
			if !job.created {
				break // another request's job, which this one must not withdraw
			}
			withdrawn, next := d.checkWorkers(waiting, job, start)
			if withdrawn {
				return jobs.Record{ID: id}, func() {}, jobs.Unavailable(withoutWorker(job.environment), nil)
			}
			grace.Reset(next)
		case <-ctx.Done():
			return jobs.Record{ID: id}, func() {}, ctx.Err()
		}
	}
}

// isAway reports whether err means that a record could not be read from Redis. The client library refuses connections
// for up to a second after Redis is back, when a job's end may already have been published.
func isAway(err error) bool {
	return jobs.CodeOf(err) == jobs.CodeUnavailable && !errors.Is(err, membudget.ErrExhausted)
}

// readAtDeadline returns the record at the end of a wait, after a little more time for a job that is about to reach its
// wall deadline. It keeps a job that is still queued unless its start deadline has passed. With a slow Redis, all of it
// takes at most Settings.Patience, beside the transfer of a large result.
func (d *Dispatcher) readAtDeadline(
	ctx context.Context, id string, ended <-chan *jobs.Record,
) (jobs.Record, func(), error) {
	deadline := time.Now().Add(d.settings.Patience)
	read := func(ctx context.Context, id string) (jobs.Record, func(), error) {
		return d.readWithin(ctx, id, time.Until(deadline))
	}
	bounded, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	record, release, err := read(ctx, id)
	if err == nil && record.State == jobs.StateQueued {
		// The reaper would do so a moment later.
		withdrawn, err := d.store.WithdrawLate(bounded, id)
		if err != nil {
			return record, release, explain(ctx, "the job's state could not be read", err)
		}
		if !withdrawn {
			return record, release, nil
		}
		return read(ctx, id)
	}
	if err != nil || record.State != jobs.StateRunning {
		return record, release, err
	}
	left, running, err := d.store.Remaining(bounded, id)
	if err != nil {
		return record, release, explain(ctx, "the job's deadline could not be read", err)
	}
	if running && left > overtime {
		return record, release, nil
	}
	return d.awaitEnd(ctx, id, ended, max(0, left)+overtimeSlack, read)
}

func withoutWorker(environment string) string {
	if environment == "" {
		return "no worker is there to run the job; it was withdrawn"
	}
	return fmt.Sprintf("no worker with the environment %q is there to run the job; it was withdrawn", environment)
}

// checkWorkers withdraws a job that was accepted at start if no worker with its environment has been alive for
// NoWorkerGrace since. It reports whether it did, and after what time to check again.
func (d *Dispatcher) checkWorkers(
	ctx context.Context, job accepted, start time.Time,
) (withdrawn bool, next time.Duration) {
	grace := d.settings.NoWorkerGrace
	seen := d.fleet.Load().seenAt(job.environment)
	if seen.Before(start) {
		seen = start
	}
	if left := grace - time.Since(seen); left > 0 {
		return false, left
	}
	// The last check may be up to recheckInterval old.
	if n, err := d.workersOf(ctx, job.environment); err != nil || n > 0 {
		return false, grace
	}
	withdrawn, err := d.withdraw(ctx, job.id, "no worker was there to run the job")
	if err != nil {
		d.logger.WarnContext(ctx, "a job without a worker could not be withdrawn", "job_id", job.id, "error", err)
	}
	return withdrawn, grace // not withdrawn: it was started, or Redis cannot be reached
}
