package worker

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

const (
	// appendInterval is the least time between two writes to a job's stream; text printed in between goes into one
	// chunk.
	appendInterval = 20 * time.Millisecond
	// streamGrace is how much longer than the wall limit a stream is kept for late watchers.
	streamGrace = time.Minute
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
		sandbox.Follow(ctx, func(chunks []jobs.OutputChunk) { w.appendOutput(ctx, id, chunks) })
	}}
	b.ctx, b.cancel = context.WithCancel(w.runCtx)
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

// appendOutput appends chunks to the job's stream and retries until ctx is done: a gap would withhold all later output
// from the watchers until the end.
func (w *Worker) appendOutput(ctx context.Context, id string, chunks []jobs.OutputChunk) {
	for pause := appendInterval; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, commandTimeout)
		err := w.Store.AppendOutput(attempt, id, chunks, w.Wall+streamGrace)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.Logger.Debug("appending output failed", "job_id", id, "error", err)
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
