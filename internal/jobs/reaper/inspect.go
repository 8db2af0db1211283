package reaper

import (
	"context"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// look handles one job and returns the time after which to check it again.
func (r *Reaper) look(ctx context.Context, now time.Time, job store.OpenJob, alive map[string]store.Worker, place queue.TaskState) (time.Duration, error) {
	switch {
	case job.State == "":
		// Just being accepted, or lost with Redis's last writes.
		if r.suspect(now, job.ID, "no record", recordGrace) {
			return passInterval, r.store.FinalizeJob(ctx, store.EndedJob{ID: job.ID})
		}
		return passInterval, nil
	case job.State.Ended():
		delete(r.suspects, job.ID)
		ended := store.EndedJob{ID: job.ID, State: job.State, IdempotencyKey: job.IdempotencyKey, TTL: job.TTL, Batch: job.BatchItem, Webhook: job.Webhook}
		if job.Withdrawn {
			ended.TTL = 0
		}
		return passInterval, r.store.FinalizeJob(ctx, ended)
	case job.State == jobs.StateRunning:
		return passInterval, r.lookRunning(ctx, now, job, alive)
	default:
		return r.lookQueued(ctx, now, job, alive, place)
	}
}

func (r *Reaper) lookRunning(ctx context.Context, now time.Time, job store.OpenJob, alive map[string]store.Worker) error {
	if r.inHand(now, job, job.Owner, alive) {
		return nil
	}
	return r.end(ctx, job, jobs.CodeWorkerLost, "the worker that ran the job was lost")
}

// inHand reports whether a worker has a job, as far as is known. A live worker whose heartbeats do not contain the job
// has given it up, or never learned that it got it: a reply may be lost, and a command may take effect long after it
// was sent.
func (r *Reaper) inHand(now time.Time, job store.OpenJob, owner string, alive map[string]store.Worker) bool {
	worker, lives := alive[owner]
	switch {
	case lives && worker.Held[job.ID]:
		delete(r.suspects, job.ID)
		return true
	case !lives:
		return !r.suspect(now, job.ID, "lost by "+owner, grace)
	}
	since, known := r.suspects[job.ID]
	if !known || since.what != "forgotten by "+owner {
		r.suspects[job.ID] = suspicion{what: "forgotten by " + owner, since: now, beat: worker.Beat}
		return true
	}
	// Two whole heartbeats later the worker still does not name the job.
	return worker.Beat.Sub(since.beat) < forgottenAfter
}

func (r *Reaper) lookQueued(ctx context.Context, now time.Time, job store.OpenJob, alive map[string]store.Worker, place queue.TaskState) (time.Duration, error) {
	if job.Late(now) {
		dropped, err := r.store.WithdrawLate(ctx, job.ID)
		return passInterval, r.noteEnd(job, jobs.CodeNotStarted, dropped, err)
	}
	switch {
	case place == queue.TaskPending, place == queue.TaskRetry && job.TakenBy == "":
		delete(r.suspects, job.ID)
		return untilDeadline(now, job, waitingInterval), nil
	case place == queue.TaskActive && job.TakenBy != "":
		if r.inHand(now, job, job.TakenBy, alive) {
			return untilDeadline(now, job, passInterval), nil
		}
		return passInterval, r.requeue(ctx, job, place)
	}
	patience := stuckGrace
	if place == queue.TaskNone || job.TakenBy != "" {
		patience = grace
	}
	if !r.suspect(now, job.ID, string(place)+job.TakenBy, patience) {
		return passInterval, nil
	}
	return passInterval, r.requeue(ctx, job, place)
}

// untilDeadline returns wait, or less if the job's start deadline is sooner.
func untilDeadline(now time.Time, job store.OpenJob, wait time.Duration) time.Duration {
	if left := job.StartBy.Sub(now); !job.StartBy.IsZero() && left < wait {
		return max(left, time.Millisecond)
	}
	return wait
}

func (r *Reaper) requeue(ctx context.Context, job store.OpenJob, place queue.TaskState) error {
	r.logger.Warn("a job that nobody has is queued again", "job_id", job.ID, "task", string(place))
	delete(r.suspects, job.ID)
	return r.producer.Requeue(ctx, job.ID, job.Priority)
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

// noteEnd logs that the reaper ended a job, if that end stands.
func (r *Reaper) noteEnd(job store.OpenJob, code jobs.Code, stands bool, err error) error {
	if err == nil && stands {
		delete(r.suspects, job.ID)
		r.logger.Warn("a job was ended for others", "job_id", job.ID, "outcome", string(code), "worker", job.Owner)
	}
	return err
}
