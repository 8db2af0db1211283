package worker

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/store"
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
	subscription := w.Client.Subscribe(ctx, store.CancelChannel)
	defer func() {
		if err := subscription.Close(); err != nil {
			w.Logger.Debug("closing the subscription", "error", err)
		}
	}()
	messages := subscription.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(cancelRecheck))
	ticker := time.NewTicker(cancelRecheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.lookForCancels(ctx)
		case message, open := <-messages:
			switch m := message.(type) {
			case *redis.Message:
				w.running.cancel(m.Payload)
			case *redis.Subscription:
				w.lookForCancels(ctx) // what was published before it is lost
			}
			if !open {
				messages = nil // only once the client is closed
			}
		}
	}
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
