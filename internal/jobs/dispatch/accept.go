package dispatch

import (
	"cmp"
	"context"
	"errors"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

// Submit accepts a job and returns its id and state; no worker need be alive. For an idempotency key that was used
// before, it returns the job of that request.
//
// It returns a *jobs.Error with CodeUnavailable, within about a second, if Redis cannot be reached, with
// CodeQueueFull, CodeFileNotFound, or with CodeIdempotencyMismatch.
func (d *Dispatcher) Submit(ctx context.Context, request jobs.Request, requestID string) (jobs.Record, error) {
	job, err := d.accept(ctx, request, requestID, func(string) {})
	if err != nil {
		return jobs.Record{}, err
	}
	id := job.id
	if job.created {
		return jobs.Record{ID: id, State: jobs.StateQueued}, nil
	}
	// Reads only the state, which needs no memory of the budget.
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	state, err := d.store.State(bounded, jobs.CallerOf(ctx), id)
	if err != nil {
		return jobs.Record{ID: id}, explain(ctx, "the job's record could not be read", err)
	}
	return jobs.Record{ID: id, State: state}, nil
}

// accept stores and enqueues a job, after calling before with its id. The caller may withdraw it only if this request
// created it.
func (d *Dispatcher) accept(
	ctx context.Context, request jobs.Request, requestID string, before func(id string),
) (accepted, error) {
	job, err := d.newJob(ctx, request, requestID)
	if err != nil {
		return d.acceptedBefore(ctx, request, err, before)
	}
	// Before anything is stored: a job never depends on a file that may be deleted.
	inputs, release, err := d.resolve(ctx, request.Inputs)
	if err != nil {
		return d.acceptedBefore(ctx, request, err, before)
	}
	defer release()
	job.Inputs = inputs
	accepting, cancel := context.WithTimeout(ctx, d.settings.Patience+redisconn.TransferTime(job.Inputs.Size()))
	defer cancel()
	if err := d.acquireAccept(accepting); err != nil {
		return accepted{}, d.refused(ctx, err)
	}
	defer d.acceptLimiter.Release(1)
	claimed := job.ID
	if job.IdempotencyKey != "" {
		claimed, err = d.reserveKey(accepting, job, request.Fingerprint)
	}
	ours, created := claimed == job.ID, false
	if err == nil {
		job.ID = claimed
		before(job.ID)
		created, err = d.storeAndEnqueue(accepting, job)
	}
	if err == nil && !ours {
		err = d.store.MarkShared(accepting, job.ID)
	}
	if err == nil {
		return accepted{id: job.ID, environment: job.Environment, created: created && ours}, nil
	}
	if !ours {
		return accepted{}, d.refused(ctx, err) // another request is responsible for that job
	}
	// The job may be in the queue despite the error. The client receives an error, so the job is withdrawn if
	// possible.
	_, withdrawErr := d.withdraw(ctx, job.ID, "the job could not be enqueued")
	if job.IdempotencyKey != "" && wasFull(err) {
		// Otherwise the key stays bound: the job may exist and may have run.
		withdrawErr = errors.Join(withdrawErr, d.releaseKey(ctx, job))
	}
	return accepted{}, d.refused(ctx, errors.Join(err, withdrawErr))
}

// acquireAccept waits until fewer than acceptsAtOnce jobs are being accepted. The caller releases acceptLimiter.
func (d *Dispatcher) acquireAccept(ctx context.Context) error {
	guarded, cancel := d.monitor.Guard(ctx)
	defer cancel()
	if d.acceptLimiter.Acquire(guarded, 1) != nil {
		return context.Cause(guarded)
	}
	return nil
}

// reserveKey binds the job's idempotency key and returns the id of the job to which it is bound. A key bound to a
// withdrawn job is bound anew.
func (d *Dispatcher) reserveKey(ctx context.Context, job jobs.Job, fingerprint string) (string, error) {
	claimed, err := d.store.ReserveKey(ctx, job.IdempotencyKey, job.ID, fingerprint)
	if err != nil || claimed == job.ID {
		return claimed, err
	}
	withdrawn, err := d.store.Withdrawn(ctx, claimed)
	if err != nil || !withdrawn {
		return claimed, err
	}
	if err := d.store.ReleaseKey(ctx, job.IdempotencyKey, claimed); err != nil {
		return claimed, err
	}
	return d.store.ReserveKey(ctx, job.IdempotencyKey, job.ID, fingerprint)
}

// newJob creates a job from a request and decides its policy until its record expires: workers and reapers obey the
// record. It returns errors of decidePolicy.
func (d *Dispatcher) newJob(ctx context.Context, request jobs.Request, requestID string) (jobs.Job, error) {
	caller := jobs.CallerOf(ctx)
	if caller.Tenant == "" {
		return jobs.Job{}, errNoCaller
	}
	job := jobs.Job{
		ID: cmp.Or(request.ID, jobs.NewID()), Tenant: caller.Tenant, RequestID: requestID,
		Script: request.Script, Inputs: request.Inputs, Async: request.Async,
		ReplyTo: d.channel.Name, Priority: request.Priority, StartWithin: request.StartWithin,
		WebhookURL: request.WebhookURL, Entry: request.Entry, Labels: request.Labels, Trace: jobs.TraceOf(ctx),
	}
	if err := d.decidePolicy(ctx, &job, request, caller); err != nil {
		return jobs.Job{}, err
	}
	if job.StartWithin == 0 {
		job.StartWithin = d.settings.StartDeadline
	}
	if job.Priority == "" {
		job.Priority = jobs.PriorityDefault
		if !job.Async {
			job.Priority = jobs.PriorityHigh
		}
	}
	job.IdempotencyKey = singleKey(caller.Tenant, request)
	job.TTL = d.store.TTL(job)
	return job, nil
}

// decidePolicy sets the environment, the limits, and the share of the tenant. It returns an error with
// CodeInvalidRequest if the tenant or no worker allows the requested limits, or those of checkCPU and
// chooseEnvironment.
func (d *Dispatcher) decidePolicy(
	ctx context.Context, job *jobs.Job, request jobs.Request, caller jobs.Caller,
) error {
	bounds, requested := caller.Bounds(), request.Inputs.RequestedLimits()
	if err := errors.Join(bounds.CheckLargest(requested), d.checkCPU(ctx, caller)); err != nil {
		return err
	}
	// One fleet for all decisions: limits above those of all workers would keep the job from ever starting.
	fleet, environment, err := d.chooseEnvironment(ctx, request, bounds)
	if err != nil {
		return err
	}
	able := fleet.limits[environment]
	job.LimitsOpen = len(able) == 0
	job.Limits, err = jobs.DecideLimits(d.settings.Limits.CappedBy(bounds.Largest), requested, able)
	if err != nil {
		return err
	}
	if environment != jobs.DefaultEnvironment {
		job.Environment = environment
	}
	job.Weight, job.MaxRunning = max(0, bounds.Weight), max(0, bounds.RunningJobs)
	return nil
}

// errNoCaller is the error for a request whose context has no caller. Nothing may be stored for it.
var errNoCaller = errors.New("the request has no caller")

// singleKey returns the key of the idempotency record of a tenant's request, "" for none.
func singleKey(tenant jobs.Tenant, request jobs.Request) string {
	if request.IdempotencyKey == "" {
		return ""
	}
	return store.IdempotencyKey(tenant, request.IdempotencyKey)
}

// storeAndEnqueue stores a job and enqueues it, unless it exists already.
func (d *Dispatcher) storeAndEnqueue(ctx context.Context, job jobs.Job) (fresh bool, err error) {
	limit := d.settings.QueueLimit
	if job.Async {
		limit = max(1, limit-limit/10)
	}
	if err := d.admit(ctx, job.Inputs.Size(), limit); err != nil {
		return false, err
	}
	return d.enqueueNew(ctx, job, limit)
}

// enqueueNew stores a job and enqueues it in one step, unless it exists already.
func (d *Dispatcher) enqueueNew(ctx context.Context, job jobs.Job, limit int) (fresh bool, err error) {
	if d.settings.Traces != nil {
		var end func(error)
		ctx, job.Trace, end = d.settings.Traces.StartSend(ctx, job)
		defer func() { end(err) }()
	}
	task, err := d.producer.Task(ctx, job.ID, job.Route())
	if err != nil {
		return false, err
	}
	limits := store.OpenLimits{Queue: limit, Tenant: jobs.CallerOf(ctx).Bounds().OpenJobs}
	return d.store.Accept(ctx, job, store.Step(task), limits)
}

func (d *Dispatcher) releaseKey(ctx context.Context, job jobs.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	return d.store.ReleaseKey(ctx, job.IdempotencyKey, job.ID)
}

// wasFull reports whether a job was not accepted because too many are open, of all tenants or of its own.
func wasFull(err error) bool {
	code := jobs.CodeOf(err)
	return code == jobs.CodeQueueFull || code == jobs.CodeQuotaExceeded
}

// refused returns the error for a client whose job was not accepted.
func (d *Dispatcher) refused(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case wasFull(err):
		full := *jobs.AsError(err)
		full.RetryAfterSeconds = cmp.Or(full.RetryAfterSeconds, d.retryAfter())
		return &full
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, redisconn.ErrSilent):
		return store.ClientError("the job could not be accepted: the queue did not answer in time", err)
	default:
		return store.ClientError("the job could not be accepted: the queue cannot be reached", err)
	}
}
