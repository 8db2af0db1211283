package reaper

import (
	"context"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
)

// releaseInterval is how often jobs are looked for that have ended and still count against their tenant's bound.
const releaseInterval = 5 * time.Second

// releaseEnded removes them.
func (r *Reaper) releaseEnded(ctx context.Context) error {
	if time.Since(r.released) < releaseInterval {
		return nil
	}
	r.released = time.Now()
	n, err := r.store.ReleaseEnded(ctx)
	r.did(ActionSlotReleased, n, nil)
	if n > 0 {
		r.logger.Warn("released jobs that do not run", "jobs", n)
	}
	return err
}

// reopen puts the flows in which queued jobs wait into the order if they are missing there. If that fails, jobs are
// inspected all the same: they must end.
func (r *Reaper) reopen(ctx context.Context, queued map[string]jobs.Route, tasks map[string]queue.TaskState) {
	var waiting []jobs.Route
	for id, route := range queued {
		if tasks[id] == queue.TaskPending {
			waiting = append(waiting, route)
		}
	}
	n, err := r.producer.Reopen(ctx, waiting)
	if err != nil {
		r.logger.Warn("checking the flows of waiting jobs failed", "error", err)
	}
	r.did(ActionFlowReopened, n, nil)
	if n > 0 {
		r.logger.Warn("put flows into the order again", "flows", n)
	}
}
