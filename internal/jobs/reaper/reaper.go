// Package reaper sees to it that every accepted job ends, whoever died.
//
// It looks at the open jobs again and again. A job whose worker is gone is ended
// as worker_lost; one that nobody started by its start deadline is dropped as
// not_started; one that waits without a task in the queue, or whose task lies
// with a worker that is gone, is put into the queue again. So is the callback of
// a job that ended, if nobody has it in hand. It never starts
// anything: whatever it does wrongly to a queued job, the job's fence makes
// harmless.
//
// Every API replica has one, and a lease in Redis lets one at a time work. All
// times are Redis's.
package reaper

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// How soon a dead worker's jobs end, at most: 4 s until its sign of life runs
// out, half a second until that is seen, Grace, and half a second more.
const (
	// passInterval is how often the reaper works.
	passInterval = 500 * time.Millisecond
	// leaseTTL is how long the lease of a reaper that died is waited for.
	leaseTTL = 2 * time.Second
	// stepTimeout bounds each step of a pass for itself, so that none starves where
	// Redis is far. What one leaves undone, the next pass begins with.
	stepTimeout = 5 * time.Second
	// batch is how many jobs are looked at in one pass.
	batch = 500
	// grace is how long a suspicion must stand. After an outage of Redis all signs
	// of life have run out at once; those who live say so again within it.
	grace = 2500 * time.Millisecond
	// stuckGrace is the same for a task of which nobody says that he has it, and
	// for a record that is not there yet.
	stuckGrace = 5 * time.Second
	// waitingInterval is how often a job that waits in the queue is looked at. It
	// is looked at sooner when a worker takes it.
	waitingInterval = 10 * time.Second
	// forgottenAfter is two beats of a worker's heart: one may have been under way
	// when it took the job.
	forgottenAfter = 2 * time.Second
	// sweepShare is in how many passes all of the index is swept, in chunks of
	// sweepLeast at least.
	sweepShare, sweepLeast = 600, 100
	// forgetInterval is how often what dead workers left in the queue is dropped,
	// and forgetAfter how long after their last sign of life: the queue goes by the
	// workers' clocks there, which may be off a little.
	forgetInterval, forgetAfter = 5 * time.Second, 30 * time.Second
)

// Reaper is one. Run it once.
type Reaper struct {
	store    *store.Store
	producer *queue.Producer
	logger   *slog.Logger
	token    string
	// suspects are jobs that something is wrong with, by since when.
	suspects map[string]suspicion
	cursor   string
	// forgot is when what dead workers left was last dropped.
	forgot time.Time
}

type suspicion struct {
	what  string
	since time.Time
	// beat is the last sign of life, then, of a worker that lives.
	beat time.Time
}

// New makes a reaper.
func New(s *store.Store, producer *queue.Producer, logger *slog.Logger) *Reaper {
	return &Reaper{store: s, producer: producer, logger: logger, token: uuid.NewString(), suspects: map[string]suspicion{}}
}

// Run works until ctx ends. Redis need not be there.
func (r *Reaper) Run(ctx context.Context) {
	ticker := time.NewTicker(passInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			r.leave()
			return
		case <-ticker.C:
		}
		err := r.pass(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.logger.Warn("the reaper cannot work", "error", err)
		}
		failing = err != nil
	}
}

func (r *Reaper) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), passInterval)
	defer cancel()
	_ = r.store.Unlease(ctx, r.token) // it runs out by itself
}

// pass does what is due, if this reaper has the lease.
func (r *Reaper) pass(ctx context.Context) error {
	held, err := r.lease(ctx)
	if err != nil {
		return err
	}
	if !held {
		clear(r.suspects) // another's eyes see them now
		return nil
	}
	ctx, release := r.keepLease(ctx)
	defer release()
	var errs []error
	for _, step := range []func(context.Context) error{r.lookAtOpen, r.sweep, r.lookAtCallbacks} {
		bounded, cancel := context.WithTimeout(ctx, stepTimeout)
		errs = append(errs, step(bounded))
		cancel()
	}
	return errors.Join(errs...)
}

func (r *Reaper) lease(ctx context.Context) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return r.store.Lease(ctx, r.token, leaseTTL)
}

// keepLease renews the lease until release is called. The context ends if another
// reaper has it.
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

// lookAtOpen deals with the open jobs that are due, and with what dead workers left.
func (r *Reaper) lookAtOpen(ctx context.Context) error {
	now, open, err := r.store.Due(ctx, batch)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		err = r.examine(ctx, now, open)
	}
	for id, s := range r.suspects {
		if now.Sub(s.since) > time.Minute {
			delete(r.suspects, id) // of a job that was settled by others
		}
	}
	return errors.Join(err, r.forgetDead(ctx, now))
}

func (r *Reaper) forgetDead(ctx context.Context, now time.Time) error {
	if now.Sub(r.forgot) < forgetInterval {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	if err := r.producer.ForgetConsumers(ctx, now.Add(-forgetAfter)); err != nil {
		return err
	}
	r.forgot = now
	return nil
}

func (r *Reaper) sweep(ctx context.Context) error {
	n, err := r.store.Indexed(ctx)
	if err != nil || n == 0 {
		return err
	}
	r.cursor, err = r.store.Sweep(ctx, r.cursor, max(sweepLeast, n/sweepShare))
	return err
}

func (r *Reaper) examine(ctx context.Context, now time.Time, open []store.Open) error {
	alive, err := r.store.AliveWorkers(ctx)
	if err != nil {
		return err
	}
	queued := map[string]jobs.Priority{}
	for _, job := range open {
		if job.State == jobs.StateQueued {
			queued[job.ID] = job.Priority
		}
	}
	places, err := r.producer.Places(ctx, queued)
	if err != nil {
		return err
	}
	next := make(map[string]time.Time, len(open))
	for _, job := range open {
		if ctx.Err() != nil {
			break // the others come first in the next pass
		}
		after, err := r.look(ctx, now, job, alive, places[job.ID])
		if err != nil {
			r.logger.Warn("an open job could not be dealt with", "job_id", job.ID, "error", err)
		}
		next[job.ID] = now.Add(after)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	return r.store.LookAgain(ctx, next)
}
