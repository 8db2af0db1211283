// Package reaper ensures that every accepted job ends, whichever process dies.
//
// It checks the open jobs periodically. A job whose worker is gone ends as worker_lost; one that was not started by
// its start deadline is withdrawn as not_started; one that waits without a task in the queue, or whose task is held by
// a worker that is gone, is requeued. So is the webhook of an ended job if no replica is sending it. The reaper never
// starts a job, and the start claim makes a wrongly requeued job harmless.
//
// It also counts the usage of the jobs that have ended, whichever process ended them.
//
// Every API replica has a reaper, and a lease in Redis lets one at a time work. All times are Redis's.
package reaper

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// A dead worker's jobs end after at most 4 s until its heartbeat expires, half a second until that is seen, grace, and
// half a second more.
const (
	// passInterval is the time between two passes.
	passInterval = 500 * time.Millisecond
	// leaseTTL is how long the lease of a dead reaper lasts.
	leaseTTL = 2 * time.Second
	// stepTimeout bounds each step of a pass separately, so that none starves if Redis is far away. The next pass
	// begins with what a step left undone.
	stepTimeout = 5 * time.Second
	// batch is the maximum number of jobs checked in one pass.
	batch = 500
	// grace is how long a suspicion must last. After an outage of Redis all heartbeats have expired at once; live
	// workers send new ones within it.
	grace = 2500 * time.Millisecond
	// stuckGrace is the same for a task that no worker claims.
	stuckGrace = 5 * time.Second
	// waitingInterval is how often a job that waits in the queue is checked. It is checked sooner when a worker takes
	// it.
	waitingInterval = 10 * time.Second
	// twoHeartbeats is more than the time from one heartbeat of an idle worker to the next (three seconds), and less
	// than twice that: one may have been in flight when it took the job.
	twoHeartbeats = 5 * time.Second
	// recountInterval is how often the open jobs of tenants are counted anew.
	recountInterval = time.Minute
)

// Reaper ends or requeues lost jobs. Call Run once.
type Reaper struct {
	store    *store.Store
	producer *queue.Producer
	logger   *slog.Logger
	token    string
	// suspects are the current suspicions, by job id.
	suspects map[string]suspicion
	sweep    sweep
	// recounted is when the open jobs of tenants were last counted anew.
	recounted time.Time
	// passes counts the passes with the lease.
	passes int
	// observe is called with the ended jobs that were counted.
	observe func([]store.EndedCount)
	// released is when releaseEnded last looked.
	released time.Time
	metrics  Metrics
}

type suspicion struct {
	what  string
	since time.Time
	// beat is the last heartbeat at that time, of a live worker.
	beat time.Time
}

// New returns a reaper.
func New(s *store.Store, producer *queue.Producer, logger *slog.Logger) *Reaper {
	return &Reaper{
		store: s, producer: producer, logger: logger, token: uuid.NewString(),
		suspects: map[string]suspicion{},
		observe:  func([]store.EndedCount) {},
		metrics:  noMetrics{},
	}
}

// ObserveEnds makes Run call observe with the jobs that have ended, once for each job while one reaper counts them.
// Call it before Run.
func (r *Reaper) ObserveEnds(observe func([]store.EndedCount)) { r.observe = observe }

// CountIn makes Run count in metrics. Call it before Run.
func (r *Reaper) CountIn(metrics Metrics) { r.metrics = metrics }

// Run makes a pass every passInterval until ctx is done. Redis need not be reachable.
func (r *Reaper) Run(ctx context.Context) {
	ticker := time.NewTicker(passInterval)
	defer ticker.Stop()
	defer r.metrics.SetWorking(false)
	failing := false
	for {
		select {
		case <-ctx.Done():
			r.releaseLease()
			return
		case <-ticker.C:
		}
		err := r.pass(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.logger.Warn("reaper pass failed", "error", err)
		}
		failing = err != nil
	}
}

func (r *Reaper) releaseLease() {
	ctx, cancel := context.WithTimeout(context.Background(), passInterval)
	defer cancel()
	_ = r.store.ReleaseLease(ctx, r.token) // otherwise it expires
}

// pass does the due work if this reaper holds the lease.
func (r *Reaper) pass(ctx context.Context) error {
	held, err := r.lease(ctx)
	r.metrics.SetWorking(held)
	if err != nil {
		return err
	}
	if !held {
		clear(r.suspects) // another reaper checks the jobs now
		return nil
	}
	ctx, release := r.keepLease(ctx)
	defer release()
	var errs []error
	for _, step := range []func(context.Context) error{
		r.inspectOpen, r.sweepIndexes, r.sweepLabels, r.requeueWebhooks, r.recountTenants, r.countUsage,
		r.releaseEnded,
	} {
		bounded, cancel := context.WithTimeout(ctx, stepTimeout)
		errs = append(errs, step(bounded))
		cancel()
	}
	return errors.Join(errs...)
}

func (r *Reaper) lease(ctx context.Context) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return r.store.AcquireLease(ctx, r.token, leaseTTL)
}

// keepLease renews the lease until release is called. The returned context ends if another reaper gets the lease.
func (r *Reaper) keepLease(ctx context.Context) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		ticker := time.NewTicker(passInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if held, err := r.lease(ctx); err == nil && !held {
				cancel()
			}
		}
	})
	return ctx, func() {
		cancel()
		keeper.Wait()
	}
}

// inspectOpen inspects the open jobs whose check is due.
func (r *Reaper) inspectOpen(ctx context.Context) error {
	now, open, err := r.store.DueJobs(ctx, batch)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		err = r.inspectAll(ctx, now, open)
	}
	for id, s := range r.suspects {
		if now.Sub(s.since) > time.Minute {
			delete(r.suspects, id) // another process finalized the job
		}
	}
	return err
}

func (r *Reaper) inspectAll(ctx context.Context, now time.Time, open []store.OpenJob) error {
	alive, err := r.store.AliveWorkers(ctx, holders(open))
	if err != nil {
		return err
	}
	queued := map[string]jobs.Route{}
	for _, job := range open {
		if job.State == jobs.StateQueued {
			queued[job.ID] = job.Route()
		}
	}
	tasks, err := r.producer.TaskStates(ctx, queued)
	if err != nil {
		return err
	}
	r.reopen(ctx, queued, tasks)
	next := make(map[string]time.Time, len(open))
	for _, job := range open {
		if ctx.Err() != nil {
			break // the remaining jobs come first in the next pass
		}
		after, err := r.inspect(ctx, snapshot{now: now, alive: alive, tasks: tasks}, job)
		if err != nil {
			r.logger.Warn("inspecting open job failed", "job_id", job.ID, "error", err)
		}
		next[job.ID] = now.Add(after)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	return r.store.ScheduleChecks(ctx, open, next)
}

// holders returns the workers that have jobs, or should have them, each once.
func holders(open []store.OpenJob) []string {
	var owners []string
	for _, job := range open {
		if owner := job.Holder(); owner != "" {
			owners = append(owners, owner)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners)
}
