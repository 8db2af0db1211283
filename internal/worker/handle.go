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

// Handle handles one delivery of a job. It returns nil if the queue may forget the job. It does not use the delivery's
// own context; see Worker.runCtx.
func (w *Worker) Handle(_ context.Context, delivery queue.Delivery) error {
	_, release := w.inFlight.add(w.runCtx, delivery.ID, nil)
	defer release()
	takenAt := time.Now()
	job, ready, err := w.admit(delivery)
	if err != nil || !ready {
		return err
	}
	ctx, endSpan := w.Traces.StartJob(w.runCtx, job, takenAt, delivery.Attempt)
	err = w.process(ctx, job, delivery.Attempt)
	if errors.Is(err, queue.ErrHeld) || errors.Is(err, errStopping) {
		endSpan(nil) // another delivery runs the job, or will
	} else {
		endSpan(err)
	}
	return err
}

// process runs a job that was taken for this worker, unless another delivery does, and stores its end. ctx is for the
// run, and has the delivery's span.
func (w *Worker) process(ctx context.Context, job jobs.Job, attempt int) error {
	storeCtx := w.Traces.Carry(w.storeCtx, ctx)
	start := time.Now()
	sandbox, err := w.acquire(ctx, job)
	if err != nil {
		return w.sandboxFailed(storeCtx, job, attempt, err)
	}
	prepared := time.Since(start)
	sandbox = w.replaceable(sandbox, job.Environment)
	live := w.newBroadcast(job.ID, sandbox)
	defer live.stop()
	// Before the start is claimed, so that no command is missed.
	ctx, ended := w.running.add(ctx, job.ID, live.start)
	defer ended()
	ours, claim, err := w.claimStart(storeCtx, job)
	if err != nil || !ours {
		sandbox.Discard()
	}
	switch {
	case err != nil:
		return err
	case !ours && claim.Ended:
		return nil
	case claim.Expired:
		return w.expire(job)
	case !ours:
		return w.checkOwner(job.ID)
	}
	if claim.Watched {
		live.start()
	}
	outcome := w.tracedRun(ctx, sandbox, job)
	live.stop()
	w.hintAtEnvironments(job, outcome.Failure)
	outcome.Usage.PrepareMS = jobs.Milliseconds(prepared)
	outcome.Limits = w.effectiveLimits(job)
	outcome.Usage.QueuedMS = max(0, jobs.Milliseconds(claim.StartedAt.Sub(claim.CreatedAt)-prepared))
	return w.storeEnd(storeCtx, job, outcome)
}

// acquire returns a sandbox for a job.
func (w *Worker) acquire(ctx context.Context, job jobs.Job) (sandbox Sandbox, err error) {
	ctx, endSpan := w.Traces.StartStep(ctx, "prepare")
	defer func() { endSpan(err) }()
	return w.Acquire(ctx, job.Environment, job.Script)
}

// tracedRun is run with its span.
func (w *Worker) tracedRun(ctx context.Context, sandbox Sandbox, job jobs.Job) jobs.Outcome {
	ctx, endSpan := w.Traces.StartStep(ctx, "run")
	defer endSpan(nil)
	outcome := w.run(ctx, sandbox, job)
	w.Traces.SetOutcome(ctx, outcome)
	return outcome
}

// admit takes the job for this worker, unless the delivery's script has done so, and reports whether to run it here. If
// not, nothing is left to do for this delivery unless it returns an error.
func (w *Worker) admit(delivery queue.Delivery) (jobs.Job, bool, error) {
	id := delivery.ID
	job, state, expired, err := w.take(delivery)
	job.Limits = job.LimitsAt(w.MaxLimits)
	damaged := errors.Is(err, store.ErrDamaged)
	switch {
	case jobs.CodeOf(err) == jobs.CodeNotFound:
		w.Logger.Warn("queued job has no record", "job_id", id)
		return job, false, nil
	case err != nil && !damaged:
		return job, false, err
	case state.Ended():
		return job, false, nil // withdrawn, cancelled, or delivered once more
	case state == jobs.StateRunning:
		return job, false, w.checkOwner(id)
	case damaged:
		return job, false, w.failDamaged(job, err)
	case expired:
		return job, false, w.expire(job)
	case !job.Limits.Within(w.MaxLimits):
		w.Logger.Info("requeued job above maximum limits", "job_id", job.ID, "request_id", job.RequestID)
		return job, false, w.requeue(job)
	case !w.has(job.Environment):
		return job, false, w.leaveElsewhere(job)
	}
	return job, true, nil
}

func (w *Worker) take(delivery queue.Delivery) (jobs.Job, jobs.State, bool, error) {
	if delivery.Reply != nil {
		return w.Store.Taken(w.storeCtx, delivery.ID, delivery.Reply, commandTimeout)
	}
	return w.Store.Take(w.storeCtx, delivery.ID, w.owner, commandTimeout)
}

// requeue returns a job that this worker must not run to the queue, which delivers it again shortly, to any worker: one
// above its maximum limits, or with another environment. The record never raises this worker's limits, and the limits
// of an accepted job are never lowered.
func (w *Worker) requeue(job jobs.Job) error {
	if err := w.untake(job.ID); err != nil {
		return err
	}
	w.requeued.Add(1)
	return queue.ErrElsewhere
}

func (w *Worker) untake(id string) error {
	ctx, cancel := context.WithTimeout(w.storeCtx, commandTimeout)
	defer cancel()
	return w.Store.Untake(ctx, id, w.owner)
}

// failDamaged ends a queued job whose record cannot be read: another attempt would fail the same way.
func (w *Worker) failDamaged(job jobs.Job, err error) error {
	w.Logger.Error("job record damaged", "job_id", job.ID, "request_id", job.RequestID, "error", err)
	w.Metrics.JobStarted()
	return w.endBy(w.storeCtx, w.Store.Withdraw, job, failure(jobs.CodeInternal,
		"the job could not be started: its record is damaged; submit it again"))
}

// expire ends a job whose start deadline has passed.
func (w *Worker) expire(job jobs.Job) error {
	ctx, cancel := context.WithTimeout(w.storeCtx, commandTimeout)
	defer cancel()
	expired, err := w.Store.WithdrawLate(ctx, job.ID)
	if expired {
		w.Logger.Info("expired job before start", "job_id", job.ID, "request_id", job.RequestID)
	}
	return err
}

func (w *Worker) load(id string) (jobs.Job, jobs.State, error) {
	ctx, cancel := context.WithTimeout(w.storeCtx, commandTimeout)
	defer cancel()
	return w.Store.Load(ctx, id)
}

// sandboxFailed handles a job for which no sandbox could be made. It returns an error, after which the queue delivers
// the job again, until the job's attempts are spent; then it ends the job.
func (w *Worker) sandboxFailed(ctx context.Context, job jobs.Job, attempt int, err error) error {
	w.Logger.ErrorContext(ctx, "acquiring sandbox failed",
		"job_id", job.ID, "request_id", job.RequestID, "attempt", attempt+1, "error", err)
	if attempt+1 < acquireAttempts || w.runCtx.Err() != nil {
		return errors.Join(fmt.Errorf("no sandbox: %w", err), w.untake(job.ID))
	}
	w.Metrics.JobStarted()
	outcome := failure(jobs.CodeInternal, "the job could not be started: no sandbox could be made")
	w.Traces.SetOutcome(ctx, outcome)
	return w.endBy(ctx, w.Store.Withdraw, job, outcome) // this delivery has not claimed the start: another may have
}

// claimStart claims the job's start with a new token and reports whether the claim is ours. From then on the job counts
// as started.
func (w *Worker) claimStart(ctx context.Context, job jobs.Job) (ours bool, claim store.StartClaim, err error) {
	id, wall := job.ID, w.Wall
	for _, limit := range []time.Duration{job.Limits.Wall, job.Inputs.RequestedLimits().Wall} {
		if limit > 0 {
			wall = min(wall, limit)
		}
	}
	if w.runCtx.Err() != nil {
		return false, store.StartClaim{}, errStopping
	}
	token := uuid.NewString()
	err = w.retryRedis(ctx, claimTimeout, 0, func(ctx context.Context) (err error) {
		claim, err = w.Store.ClaimStartReplicated(ctx, id, token, w.owner, wall, w.Settings.FenceReplicas,
			replicationTimeout)
		return err
	})
	if err != nil && w.Settings.FenceReplicas > 0 && jobs.CodeOf(err) != jobs.CodeNotFound {
		w.releaseStart(ctx, id, token)
	}
	if jobs.CodeOf(err) == jobs.CodeNotFound {
		return false, store.StartClaim{Ended: true}, nil
	}
	return err == nil && !claim.Ended && !claim.Expired && claim.Token == token, claim, err
}

// releaseStart removes a claim that may exist and will not be used. If Redis does not do so, the job ends as
// worker_lost once it is overdue.
func (w *Worker) releaseStart(ctx context.Context, id, token string) {
	err := w.retryRedis(ctx, claimTimeout, 0, func(ctx context.Context) error {
		return w.Store.ReleaseStart(ctx, id, token)
	})
	if err != nil {
		w.Logger.WarnContext(ctx, "releasing start claim failed", "job_id", id, "error", err)
	}
}

// run runs the script and returns its outcome. A panic becomes an outcome too, since every job must end.
func (w *Worker) run(ctx context.Context, sandbox Sandbox, job jobs.Job) (outcome jobs.Outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			w.Logger.ErrorContext(ctx, "job run panicked", "job_id", job.ID, "cause", fmt.Sprint(cause), "stack",
				string(debug.Stack()))
			outcome = failure(jobs.CodeInternal, "something went wrong on the worker while the job ran")
		}
	}()
	w.Metrics.JobStarted()
	inputs := job.Inputs
	if job.Limits != (jobs.RequestedLimits{}) {
		inputs = inputs.WithLimits(job.Limits.Below(w.MaxLimits))
	}
	outcome = sandbox.Run(ctx, job.Script, job.Entry, inputs)
	if f := outcome.Failure; f != nil && f.Code == jobs.CodeCancelled {
		f.Message = "the job was cancelled while it ran"
		if w.runCtx.Err() != nil {
			f.Code, f.Message = jobs.CodeWorkerLost, "the worker was stopped while the job ran"
		}
	}
	return outcome
}

// effectiveLimits returns the limits under which a job runs here, given the job of admit.
func (w *Worker) effectiveLimits(job jobs.Job) jobs.RequestedLimits {
	limits := job.Limits
	if limits == (jobs.RequestedLimits{}) { // in a record of an earlier version
		limits = job.Inputs.RequestedLimits()
	}
	return limits.LowerOf(w.MaxLimits)
}

// checkOwner handles a job that another delivery has started. It ends the job if that delivery's worker is gone.
// Otherwise it returns queue.ErrHeld, after which the queue delivers the job again later.
func (w *Worker) checkOwner(id string) error {
	lost, err := w.ownerLost(id)
	if err != nil {
		return err
	}
	if !lost {
		return queue.ErrHeld
	}
	job, state, err := w.load(id)
	if jobs.CodeOf(err) == jobs.CodeNotFound || err == nil && state.Ended() {
		return nil
	}
	if err != nil {
		return err
	}
	w.Metrics.JobStarted()
	return w.endBy(w.storeCtx, w.Store.End, job, failure(jobs.CodeWorkerLost, "the worker that ran the job was lost"))
}

// ownerLost reports whether no worker will store the end of a running job.
func (w *Worker) ownerLost(id string) (bool, error) {
	ctx, cancel := context.WithTimeout(w.runCtx, 2*commandTimeout+w.livenessTTL)
	defer cancel()
	claim, err := w.Store.ReadStartClaim(ctx, id)
	if jobs.CodeOf(err) == jobs.CodeNotFound || err == nil && claim.Ended {
		return true, nil // the caller sees that there is nothing to do
	}
	if err != nil {
		return false, err
	}
	alive, err := w.Store.WorkerAlive(ctx, claim.Owner)
	if err != nil {
		return false, err
	}
	if alive {
		// Its owner may have stopped retrying to store the end.
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
	alive, err = w.Store.WorkerAlive(ctx, claim.Owner)
	return !alive, err
}

func failure(code jobs.Code, message string) jobs.Outcome {
	return jobs.Outcome{Failure: &jobs.Failure{Code: code, Message: message}}
}
