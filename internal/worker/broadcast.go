package worker

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

const (
	// tellInterval is the least time between two stored chunks of a job's output; text printed in
	// between goes into one chunk.
	tellInterval = 20 * time.Millisecond
	// tellGrace is how much longer than its wall limit a job's output is kept for late watchers.
	tellGrace = time.Minute
)

// broadcast streams a job's output once a client watches it. Until then it does nothing.
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
		sandbox.Follow(ctx, func(chunks []jobs.OutputChunk) { w.tell(ctx, id, chunks) })
	}}
	b.ctx, b.cancel = context.WithCancel(w.killed)
	return b
}

// start starts the stream, unless it has started or was stopped.
func (b *broadcast) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() == nil {
		b.once.Do(func() { b.all.Go(func() { b.follow(b.ctx) }) })
	}
}

// stop ends the stream and waits until it has ended. Output not yet streamed is in the job's
// outcome. It may be called more than once.
func (b *broadcast) stop() {
	b.mu.Lock()
	b.cancel()
	b.mu.Unlock()
	b.all.Wait()
}

// tell stores a chunk for the watchers, and retries until ctx is done: without it they would get
// nothing more until the end.
func (w *Worker) tell(ctx context.Context, id string, chunks []jobs.OutputChunk) {
	for pause := tellInterval; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, commandTimeout)
		err := w.Store.AppendOutput(attempt, id, chunks, w.Wall+tellGrace)
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
