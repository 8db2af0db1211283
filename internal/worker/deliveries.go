package worker

import (
	"context"
	"sync"
)

// deliveries is the set of deliveries in progress. The zero value is ready to use.
type deliveries struct {
	mu   sync.Mutex
	jobs map[*delivery]bool
}

type delivery struct {
	id     string
	cancel context.CancelFunc
	// watch is called, perhaps more than once, when a client watches the job.
	watch func()
}

// add adds a delivery and returns its context; release removes the delivery and cancels the
// context.
func (r *deliveries) add(parent context.Context, id string, watch func()) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	d := &delivery{id: id, cancel: cancel, watch: watch}
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

// each calls f for each of a job's deliveries on this worker.
func (r *deliveries) each(id string, f func(*delivery)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range r.jobs {
		if d.id == id {
			f(d)
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
