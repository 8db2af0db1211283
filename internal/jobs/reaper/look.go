package reaper

import (
	"context"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
)

// look deals with one job and gives after how long to look again.
func (r *Reaper) look(ctx context.Context, now time.Time, job store.Open, alive map[string]bool, place queue.Place) (time.Duration, error) {
	switch {
	case job.State == "":
		// Accepted this moment, or lost with Redis's last writes.
		if r.suspect(now, job.ID, "no record", stuckGrace) {
			return passInterval, r.store.Settle(ctx, job.ID, "", 0)
		}
		return passInterval, nil
	case job.State.Ended():
		delete(r.suspects, job.ID)
		ttl := job.TTL
		if job.NeverRan && job.State != jobs.StateCancelled {
			ttl = 0
		}
		return passInterval, r.store.Settle(ctx, job.ID, job.IdempotencyKey, ttl)
	case job.State == jobs.StateRunning:
		return passInterval, r.lookRunning(ctx, now, job, alive)
	default:
		return r.lookQueued(ctx, now, job, alive, place)
	}
}

func (r *Reaper) lookRunning(ctx context.Context, now time.Time, job store.Open, alive map[string]bool) error {
	switch {
	case !alive[job.Owner]:
		if !r.suspect(now, job.ID, "lost", grace) {
			return nil
		}
	case now.Sub(job.Deadline) < overdue:
		delete(r.suspects, job.ID)
		return nil
	}
	return r.end(ctx, job, jobs.CodeWorkerLost, "the worker that ran the job was lost")
}

func (r *Reaper) lookQueued(ctx context.Context, now time.Time, job store.Open, alive map[string]bool, place queue.Place) (time.Duration, error) {
	if !job.StartBy.IsZero() && now.After(job.StartBy) {
		return passInterval, r.end(ctx, job, jobs.CodeNotStarted, jobs.MessageNotStarted)
	}
	held := place == queue.PlaceActive && alive[job.TakenBy]
	if place == queue.PlacePending || held {
		delete(r.suspects, job.ID)
		wait := waitingInterval
		if held {
			wait = passInterval
		}
		if left := job.StartBy.Sub(now); !job.StartBy.IsZero() && left < wait {
			wait = max(left, time.Millisecond)
		}
		return wait, nil
	}
	patience := stuckGrace
	if place == queue.PlaceNone || job.TakenBy != "" {
		patience = grace
	}
	if !r.suspect(now, job.ID, string(place)+job.TakenBy, patience) {
		return passInterval, nil
	}
	r.logger.Warn("a job that nobody has is queued again", "job_id", job.ID, "task", string(place))
	delete(r.suspects, job.ID)
	return passInterval, r.producer.Requeue(ctx, job.ID, job.Priority)
}

// suspect notes that something is wrong with a job, and reports whether it has
// been for long enough.
func (r *Reaper) suspect(now time.Time, id, what string, patience time.Duration) bool {
	s, known := r.suspects[id]
	if !known || s.what != what {
		r.suspects[id] = suspicion{what: what, since: now}
		return false
	}
	return now.Sub(s.since) >= patience
}

func (r *Reaper) end(ctx context.Context, job store.Open, code jobs.Code, message string) error {
	outcome := jobs.Outcome{Failure: &jobs.Failure{Code: code, Message: message}}
	end := r.store.End
	if job.State == jobs.StateQueued {
		end = r.store.Withdraw // somebody may start it this moment
	}
	stands, err := end(ctx, job.ID, outcome)
	if err == nil && stands {
		delete(r.suspects, job.ID)
		r.logger.Warn("a job was ended for others", "job_id", job.ID, "outcome", string(code), "worker", job.Owner)
	}
	return err
}
