package worker

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

// cancelRecheck is how often the records of running jobs are asked whether
// somebody wants them cancelled: messages may be lost.
const cancelRecheck = time.Second

// deliveries are those at work. Its zero value is ready.
type deliveries struct {
	mu   sync.Mutex
	jobs map[*delivery]bool
}

type delivery struct {
	id     string
	cancel context.CancelFunc
}

// add gives the context of a job that is about to start; release ends it.
func (r *deliveries) add(parent context.Context, id string) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	d := &delivery{id: id, cancel: cancel}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs == nil {
		r.jobs = map[*delivery]bool{}
	}
	r.jobs[d] = true
	return ctx, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.jobs, d)
	}
}

// cancel ends a job's context, if the job is here.
func (r *deliveries) cancel(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range r.jobs {
		if d.id == id {
			d.cancel()
		}
	}
}

func (r *deliveries) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.jobs))
	for d := range r.jobs {
		ids = append(ids, d.id)
	}
	return ids
}

// hearCancels ends running jobs that somebody wants cancelled, until ctx ends.
func (w *Worker) hearCancels(ctx context.Context) {
	redisconn.Listen(ctx, w.Client, store.CancelChannel, cancelRecheck, w.running.cancel, w.lookForCancels)
}

func (w *Worker) lookForCancels(ctx context.Context) {
	ids := w.running.ids()
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cancelRecheck)
	defer cancel()
	asked, err := w.Store.CancelAsked(ctx, ids)
	if err != nil {
		w.Logger.Debug("cannot look for cancelled jobs", "error", err)
		return
	}
	for _, id := range asked {
		w.running.cancel(id)
	}
}
