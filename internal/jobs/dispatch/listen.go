package dispatch

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/redisconn"
)

// waiters are the calls that wait for jobs, by id. Its zero value is ready.
type waiters struct {
	mu   sync.Mutex
	open map[string][]chan struct{}
}

// add registers a wait for a job. The channel gets a value whenever the job may
// have ended; the receiver looks. done ends the wait.
func (w *waiters) add(id string) (ended <-chan struct{}, done func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[string][]chan struct{}{}
	}
	w.open[id] = append(w.open[id], c)
	return c, func() { w.remove(id, c) }
}

func (w *waiters) remove(id string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var others []chan struct{}
	for _, other := range w.open[id] {
		if other != c {
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		delete(w.open, id)
		return
	}
	w.open[id] = others
}

func (w *waiters) notify(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open[id] {
		select {
		case c <- struct{}{}:
		default: // one that has not been looked at is enough
		}
	}
}

func (w *waiters) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]string, 0, len(w.open))
	for id := range w.open {
		ids = append(ids, id)
	}
	return ids
}

// run wakes waiters by what is published on this replica's channel and by what
// it sees itself, until ctx ends.
func (d *Dispatcher) run(ctx context.Context) {
	d.measure(ctx)
	redisconn.Listen(ctx, d.client, d.channel, recheckInterval, d.waiters.notify, func(ctx context.Context) {
		d.recheck(ctx)
		d.measure(ctx)
	})
}

// recheck looks up the jobs that somebody waits for, and whether workers live.
func (d *Dispatcher) recheck(ctx context.Context) {
	ids := d.waiters.ids()
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	// Without an answer workers may well live.
	if n, err := d.store.LiveWorkers(ctx); err != nil || n > 0 {
		d.workerSeen.Store(int64(time.Since(d.born)))
	}
	states, err := d.store.States(ctx, ids)
	if err != nil {
		d.logger.Warn("the jobs waited for cannot be looked up", "jobs", len(ids), "error", err)
		return
	}
	for _, id := range ids {
		if state, found := states[id]; !found || state.Ended() {
			d.waiters.notify(id)
		}
	}
}
