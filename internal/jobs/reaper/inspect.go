package reaper

import (
	"context"
	"errors"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// snapshot is what the reaper reads once for all jobs that it inspects.
type snapshot struct {
	// now is Redis's time.
	now time.Time
	// alive are those of the holders of these jobs that are alive, by owner, and tasks the states of the queued jobs'
	// tasks, by id.
	alive map[string]store.Worker
	tasks map[string]queue.TaskState
}

// inspect ends or requeues one job if no process has it, and returns the time after which to check it again.
func (r *Reaper) inspect(ctx context.Context, s snapshot, job store.OpenJob) (time.Duration, error) {
	switch {
	case job.State == "":
		// Lost with Redis's last writes.
		if r.suspect(s.now, job.ID, "no record", grace) {
			err := r.store.FinalizeJob(ctx, store.EndedJob{ID: job.ID, Tenant: job.Tenant})
			r.did(ActionRecordLost, 1, err)
			return passInterval, err
		}
		return passInterval, nil
	case job.State.Ended():
		delete(r.suspects, job.ID)
		ended := store.EndedJob{
			ID: job.ID, Tenant: job.Tenant, State: job.State, IdempotencyKey: job.IdempotencyKey, TTL: job.TTL,
			BatchItem: job.BatchItem, Webhook: job.Webhook,
		}
		if job.Withdrawn {
			ended.TTL = 0
		}
		err := r.store.FinalizeJob(ctx, ended)
		r.did(ActionFinalized, 1, err)
		return passInterval, errors.Join(r.forgetTask(ctx, job), err)
	case job.State == jobs.StateRunning:
		return passInterval, r.inspectRunning(ctx, s, job)
	default:
		return r.inspectQueued(ctx, s, job)
	}
}

func (r *Reaper) inspectRunning(ctx context.Context, s snapshot, job store.OpenJob) error {
	if r.isHeld(s, job, job.Owner) {
		return nil
	}
	return r.end(ctx, job, jobs.CodeWorkerLost, "the worker that ran the job was lost")
}

// isHeld reports whether owner has the job, or may have it. A live worker whose heartbeats do not contain the job has
// dropped it, or never learned that it has it: a reply may be lost, and a command may take effect long after it was
// sent.
func (r *Reaper) isHeld(s snapshot, job store.OpenJob, owner string) bool {
	worker, lives := s.alive[owner]
	switch {
	case lives && worker.InFlight[job.ID]:
		delete(r.suspects, job.ID)
		return true
	case !lives:
		return !r.suspect(s.now, job.ID, "lost by "+owner, grace)
	}
	since, known := r.suspects[job.ID]
	if !known || since.what != "forgotten by "+owner {
		r.suspects[job.ID] = suspicion{what: "forgotten by " + owner, since: s.now, beat: worker.Beat}
		return true
	}
	// Two whole heartbeats later the worker still does not report the job.
	return worker.Beat.Sub(since.beat) < twoHeartbeats
}

func (r *Reaper) inspectQueued(ctx context.Context, s snapshot, job store.OpenJob) (time.Duration, error) {
	task := s.tasks[job.ID]
	if job.Late(s.now) {
		withdrawn, err := r.store.WithdrawLate(ctx, job.ID)
		if withdrawn {
			err = errors.Join(err, r.forgetTask(ctx, job))
		}
		return passInterval, r.noteEnd(job, jobs.CodeNotStarted, withdrawn, err)
	}
	switch {
	case task == queue.TaskPending, task == queue.TaskRetry && job.TakenBy == "":
		delete(r.suspects, job.ID)
		return untilDeadline(s.now, job, waitingInterval), nil
	case task == queue.TaskActive && job.TakenBy != "":
		if r.isHeld(s, job, job.TakenBy) {
			return untilDeadline(s.now, job, passInterval), nil
		}
		return passInterval, r.requeue(ctx, job, task)
	}
	patience := stuckGrace
	if task == queue.TaskNone || job.TakenBy != "" {
		patience = grace
	}
	if !r.suspect(s.now, job.ID, string(task)+job.TakenBy, patience) {
		return passInterval, nil
	}
	return passInterval, r.requeue(ctx, job, task)
}

// forgetTask removes the task of an ended job with an environment, or of a tenant with a bound on its running jobs. The
// environment may be gone for good, and then no worker takes the task any more; nor does one while the tenant is at its
// bound.
func (r *Reaper) forgetTask(ctx context.Context, job store.OpenJob) error {
	if job.Environment == "" && job.MaxRunning == 0 {
		return nil
	}
	return r.producer.Forget(ctx, job.ID, job.Route())
}

// untilDeadline returns wait, or less if the job's start deadline is sooner.
func untilDeadline(now time.Time, job store.OpenJob, wait time.Duration) time.Duration {
	if left := job.StartBy.Sub(now); !job.StartBy.IsZero() && left < wait {
		return max(left, time.Millisecond)
	}
	return wait
}

func (r *Reaper) requeue(ctx context.Context, job store.OpenJob, task queue.TaskState) error {
	r.logger.Warn("requeued job", "job_id", job.ID, "task", string(task))
	delete(r.suspects, job.ID)
	err := r.producer.Requeue(ctx, job.ID, job.Route())
	r.did(ActionRequeued, 1, err)
	return err
}

// suspect records a suspicion about a job, and reports whether it has lasted for patience.
func (r *Reaper) suspect(now time.Time, id, what string, patience time.Duration) bool {
	s, known := r.suspects[id]
	if !known || s.what != what {
		r.suspects[id] = suspicion{what: what, since: now}
		return false
	}
	return now.Sub(s.since) >= patience
}

func (r *Reaper) end(ctx context.Context, job store.OpenJob, code jobs.Code, message string) error {
	stands, err := r.store.End(ctx, job.ID, jobs.Outcome{Failure: &jobs.Failure{Code: code, Message: message}})
	return r.noteEnd(job, code, stands, err)
}

// noteEnd logs and counts that the reaper ended a job, if that end stands, and returns err.
func (r *Reaper) noteEnd(job store.OpenJob, code jobs.Code, stands bool, err error) error {
	if err == nil && stands {
		delete(r.suspects, job.ID)
		r.did(Action(code), 1, nil)
		r.logger.Warn("reaped lost job", "job_id", job.ID, "outcome", string(code), "worker", job.Owner)
	}
	return err
}
