package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// errStopping is why a delivery is returned to the queue at the end of a drain.
var errStopping = errors.New("the worker is stopping")

// Handle handles one delivery of a job. It returns nil if the queue has nothing left to do for it.
// It does not use the delivery's own context; see Worker.killed.
func (w *Worker) Handle(_ context.Context, delivery queue.Delivery) error {
	_, release := w.held.add(w.killed, delivery.ID, nil)
	defer release()
	job, ready, err := w.ready(delivery.ID)
	if err != nil || !ready {
		return err
	}
	start := time.Now()
	sandbox, err := w.Acquire(w.killed, job.Script)
	if err != nil {
		return w.noSandbox(job, delivery.Attempt, err)
	}
	prepared := time.Since(start)
	live := w.newBroadcast(job.ID, sandbox)
	defer live.stop()
	// Before the fence, so that no wish is missed.
	ctx, ended := w.running.add(w.killed, job.ID, live.start)
	defer ended()
	ours, holder, err := w.fence(job)
	if err != nil || !ours {
		sandbox.Discard()
	}
	switch {
	case err != nil:
		return err
	case !ours && holder.Ended:
		return nil
	case holder.Expired:
		return w.drop(job)
	case !ours:
		return w.watch(job.ID)
	}
	if holder.Watched {
		live.start()
	}
	outcome := w.run(ctx, sandbox, job)
	live.stop()
	outcome.Usage.PrepareMS = jobs.Milliseconds(prepared)
	outcome.Usage.QueuedMS = max(0, jobs.Milliseconds(holder.StartedAt.Sub(holder.CreatedAt)-prepared))
	return w.end(job, w.keep(job, outcome))
}

// ready takes a delivered job and reports whether to run it here; if not, it has dealt with the
// job.
func (w *Worker) ready(id string) (jobs.Job, bool, error) {
	job, state, expired, err := w.take(id)
	job.Limits = job.LimitsAt(w.Ceilings)
	damaged := errors.Is(err, store.ErrDamaged)
	switch {
	case jobs.IsNotFound(err):
		w.Logger.Warn("a job in the queue has no record", "job_id", id)
		return job, false, nil
	case err != nil && !damaged:
		return job, false, err
	case state.Ended():
		return job, false, nil // withdrawn, cancelled, or delivered once more
	case state == jobs.StateRunning:
		return job, false, w.watch(id)
	case damaged:
		return job, false, w.refuseDamaged(job, err)
	case expired:
		return job, false, w.drop(job)
	case !job.Limits.Within(w.Ceilings):
		return job, false, w.handOn(job)
	}
	return job, true, nil
}

// take loads a delivered job and records this worker as its holder.
func (w *Worker) take(id string) (jobs.Job, jobs.State, bool, error) {
	return w.Store.Take(w.abandoned, id, w.owner, commandTimeout)
}

// handOn leaves a job to a worker with higher ceilings: the queue delivers it again shortly, to any
// worker. The record never raises this worker's limits, and the limits of an accepted job are never
// lowered.
func (w *Worker) handOn(job jobs.Job) error {
	ctx, cancel := context.WithTimeout(w.abandoned, commandTimeout)
	defer cancel()
	w.Logger.Info("left job to a worker with higher ceilings", "job_id", job.ID, "request_id", job.RequestID)
	if err := w.Store.Untake(ctx, job.ID, w.owner); err != nil {
		return err
	}
	w.left.Add(1)
	return queue.ErrElsewhere
}

// refuseDamaged ends a queued job whose record cannot be read: another attempt would fail the same
// way.
func (w *Worker) refuseDamaged(job jobs.Job, err error) error {
	w.Logger.Error("job has a damaged record", "job_id", job.ID, "request_id", job.RequestID, "error", err)
	w.Metrics.JobStarted()
	return w.endBy(w.Store.Withdraw, job, failure(jobs.CodeInternal, "the job could not be started: its record is damaged; submit it again"))
}

// drop ends a job whose start deadline has passed.
func (w *Worker) drop(job jobs.Job) error {
	ctx, cancel := context.WithTimeout(w.abandoned, commandTimeout)
	defer cancel()
	dropped, err := w.Store.WithdrawLate(ctx, job.ID)
	if dropped {
		w.Logger.Info("a job came too late to be started", "job_id", job.ID, "request_id", job.RequestID)
	}
	return err
}

func (w *Worker) load(id string) (jobs.Job, jobs.State, error) {
	ctx, cancel := context.WithTimeout(w.abandoned, commandTimeout)
	defer cancel()
	return w.Store.Load(ctx, id)
}

// noSandbox handles a job for which no sandbox could be made: it returns an error, so that a worker
// tries again, until the job's attempts are spent; then it ends the job.
func (w *Worker) noSandbox(job jobs.Job, attempt int, err error) error {
	w.Logger.Error("no sandbox for a job", "job_id", job.ID, "request_id", job.RequestID, "attempt", attempt+1, "error", err)
	if attempt+1 < acquireAttempts || w.killed.Err() != nil {
		return fmt.Errorf("no sandbox: %w", err)
	}
	w.Metrics.JobStarted()
	outcome := failure(jobs.CodeInternal, "the job could not be started: no sandbox could be made")
	return w.endBy(w.Store.Withdraw, job, outcome) // this delivery has no fence: another may have started the job
}

// fence sets the job's fence with a new token and reports whether it is ours. From then on the job
// counts as started.
func (w *Worker) fence(job jobs.Job) (ours bool, holder store.StartClaim, err error) {
	id, wall := job.ID, w.Wall
	for _, limit := range []time.Duration{job.Limits.Wall, job.Inputs.RequestedLimits().Wall} {
		if limit > 0 {
			wall = min(wall, limit)
		}
	}
	if w.killed.Err() != nil {
		return false, store.StartClaim{}, errStopping
	}
	token := uuid.NewString()
	err = w.persist(fencePatience, 0, func(ctx context.Context) (err error) {
		holder, err = w.Store.ClaimStartReplicated(ctx, id, token, w.owner, wall, w.Settings.FenceReplicas, replicationTimeout)
		return err
	})
	if err != nil && w.Settings.FenceReplicas > 0 && !jobs.IsNotFound(err) {
		w.unfence(id, token)
	}
	if jobs.IsNotFound(err) {
		return false, store.StartClaim{Ended: true}, nil
	}
	return err == nil && !holder.Ended && !holder.Expired && holder.Token == token, holder, err
}

// unfence removes a fence that may exist and will not be used. If Redis does not do so, the job
// ends as worker_lost once it is overdue.
func (w *Worker) unfence(id, token string) {
	err := w.persist(fencePatience, 0, func(ctx context.Context) error { return w.Store.ReleaseStart(ctx, id, token) })
	if err != nil {
		w.Logger.Warn("a fence could not be taken back", "job_id", id, "error", err)
	}
}

// run runs the script. A panic becomes an outcome too, since every job must end.
func (w *Worker) run(ctx context.Context, sandbox Sandbox, job jobs.Job) (outcome jobs.Outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			w.Logger.Error("panic while a job ran", "job_id", job.ID, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			outcome = failure(jobs.CodeInternal, "something went wrong on the worker while the job ran")
		}
	}()
	w.Metrics.JobStarted()
	inputs := job.Inputs
	if job.Limits != (jobs.RequestedLimits{}) {
		inputs = inputs.WithLimits(job.Limits.Below(w.Ceilings))
	}
	outcome = sandbox.Run(ctx, job.Script, inputs)
	if f := outcome.Failure; f != nil && f.Code == jobs.CodeCancelled {
		f.Message = "the job was cancelled while it ran"
		if w.killed.Err() != nil {
			f.Code, f.Message = jobs.CodeWorkerLost, "the worker was stopped while the job ran"
		}
	}
	return outcome
}

// watch handles a job that another delivery has started. It ends the job if that delivery's worker
// is gone; otherwise it returns queue.ErrHeld, so that the job is checked again later.
func (w *Worker) watch(id string) error {
	lost, err := w.lost(id)
	if err != nil {
		return err
	}
	if !lost {
		return queue.ErrHeld
	}
	job, state, err := w.load(id)
	if jobs.IsNotFound(err) || err == nil && state.Ended() {
		return nil
	}
	if err != nil {
		return err
	}
	w.Metrics.JobStarted()
	return w.end(job, failure(jobs.CodeWorkerLost, "the worker that ran the job was lost"))
}

// lost reports whether no worker will store the end of a running job.
func (w *Worker) lost(id string) (bool, error) {
	ctx, cancel := context.WithTimeout(w.killed, 2*commandTimeout+w.livenessTTL)
	defer cancel()
	holder, err := w.Store.ReadStartClaim(ctx, id)
	if jobs.IsNotFound(err) || err == nil && holder.Ended {
		return true, nil // the caller sees that there is nothing to do
	}
	if err != nil {
		return false, err
	}
	alive, err := w.Store.WorkerAlive(ctx, holder.Owner)
	if err != nil {
		return false, err
	}
	if alive {
		// Its owner may have given up on storing the end.
		left, running, err := w.Store.Remaining(ctx, id)
		return running && left < -(w.Settings.EndPatience+overdueSlack), err
	}
	// After an outage of Redis all heartbeats have expired at once. Live workers renew theirs
	// within this time.
	timer := time.NewTimer(w.livenessTTL)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	alive, err = w.Store.WorkerAlive(ctx, holder.Owner)
	return !alive, err
}

func failure(code jobs.Code, message string) jobs.Outcome {
	return jobs.Outcome{Failure: &jobs.Failure{Code: code, Message: message}}
}
