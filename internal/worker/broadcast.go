package worker

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

const (
	// tellInterval is the least time between two pieces of a job's output: what is
	// printed meanwhile goes together.
	tellInterval = 20 * time.Millisecond
	// tellGrace is for how long more than its wall limit what a job printed is kept
	// for those who begin to watch.
	tellGrace = time.Minute
)

// broadcast tells what a job prints, from when somebody watches it. Until then it
// does nothing.
type broadcast struct {
	ctx    context.Context //nolint:containedctx // its own, ended by stop
	cancel context.CancelFunc
	follow func(ctx context.Context)

	once sync.Once
	mu   sync.Mutex // guards all against Go after Wait
	all  sync.WaitGroup
}

func (w *Worker) newBroadcast(id string, sandbox Sandbox) *broadcast {
	b := &broadcast{follow: func(ctx context.Context) {
		sandbox.Follow(ctx, func(printed []jobs.Printed) { w.tell(ctx, id, printed) })
	}}
	b.ctx, b.cancel = context.WithCancel(w.killed)
	return b
}

// start begins to tell, unless that has begun or is over.
func (b *broadcast) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() == nil {
		b.once.Do(func() { b.all.Go(func() { b.follow(b.ctx) }) })
	}
}

// stop ends the telling and waits for that. What has not been told is in the
// job's outcome. It may be called more than once.
func (b *broadcast) stop() {
	b.mu.Lock()
	b.cancel()
	b.mu.Unlock()
	b.all.Wait()
}

// tell stores a piece for those who watch, and again while Redis does not take it:
// without it they would hear nothing more until the end.
func (w *Worker) tell(ctx context.Context, id string, printed []jobs.Printed) {
	for pause := tellInterval; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, commandTimeout)
		err := w.Store.Append(attempt, id, printed, w.Wall+tellGrace)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.Logger.Debug("what a job printed cannot be told; it is tried again", "job_id", id, "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if err == nil {
			return
		}
	}
}
