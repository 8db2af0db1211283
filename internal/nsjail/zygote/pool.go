package zygote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/watchdog"
)

// poolConfig is what a pool needs to start zygotes.
type poolConfig struct {
	kind

	host     *host.Host
	settings Settings
	// size is the number of sandboxes to keep ready, at least 1.
	size   int
	logger *slog.Logger
	// activity is the Provider's.
	activity *activity
}

// pool keeps one zygote alive and some of its forks ready. A zygote that reached its number of
// forks serves until its successor has made a first one.
type pool struct {
	poolConfig
	// ready is unbuffered: each ready sandbox is owned by a goroutine, which replaces it when its
	// zygote retires or dies.
	ready chan *readySandbox
	// waiting counts the sandboxes on offer there.
	waiting atomic.Int64
	// forkLimiter bounds how many forks are made at once.
	forkLimiter chan struct{}
	stop        context.CancelFunc
	// serving is done once the pool makes no more sandboxes; stopServing ends it.
	serving     context.Context //nolint:containedctx // of the pool's goroutines
	stopServing context.CancelFunc
	// makers are the goroutines that make zygotes and sandboxes, closers those that end zygotes.
	makers, closers sync.WaitGroup

	mu      sync.Mutex
	current *zygote
	// currentChanged is closed when current changes.
	currentChanged chan struct{}
}

const (
	// acquireBound is how long a job waits for a ready sandbox. That is long enough to replace a
	// zygote that died.
	acquireBound = 60 * time.Second
	// maxConcurrentForks is how many forks are made at once: one waits for the kernel while the
	// other computes.
	maxConcurrentForks = 2
	// firstRetry and longestRetry bound the pauses after a zygote or a sandbox could not be made.
	firstRetry   = 100 * time.Millisecond
	longestRetry = 5 * time.Second
)

// newPool starts a pool. It returns an error if no sandbox can be made, and leaves nothing behind then.
func newPool(ctx context.Context, config poolConfig) (*pool, error) {
	p := &pool{
		poolConfig: config, ready: make(chan *readySandbox), forkLimiter: make(chan struct{}, maxConcurrentForks),
		currentChanged: make(chan struct{}),
	}
	// Detached from ctx: close ends the pool, after the jobs that still need sandboxes.
	poolCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	p.serving, p.stopServing = context.WithCancel(poolCtx)
	z, first, err := p.launch(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	p.setCurrent(poolCtx, z)
	p.makers.Go(func() { p.replaceRetiring(poolCtx, z) })
	p.makers.Go(func() { p.keepReady(p.serving, first) })
	for range p.size - 1 {
		p.makers.Go(func() { p.keepReady(p.serving, nil) })
	}
	return p, nil
}

// launch starts a zygote and forks a first sandbox, which proves that it works. The caller owns
// both.
func (p *pool) launch(ctx context.Context) (z *zygote, first *readySandbox, err error) {
	defer func() { p.countLaunch(z, err, ctx.Err() != nil) }()
	z, err = startZygote(ctx, p.host, p.settings, p.kind, p.logger)
	if err != nil {
		return nil, nil, fmt.Errorf("start a zygote: %w", err)
	}
	if first, err = p.prepare(ctx, z); err != nil {
		z.close()
	}
	return z, first, err
}

// errDrained is returned by acquire if the pool was drained.
var errDrained = errors.New("the pool makes no more sandboxes")

// acquire returns a live ready sandbox, which the caller owns. It returns an error when ctx is done, when the pool is
// drained, or after acquireBound.
func (p *pool) acquire(ctx context.Context) (*readySandbox, error) {
	bound := time.NewTimer(acquireBound)
	defer bound.Stop()
	for {
		select {
		case s := <-p.ready:
			if s.fork.alive() {
				return s, nil
			}
			s.Discard() // its zygote died meanwhile
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.serving.Done():
			return nil, errDrained
		case <-bound.C:
			return nil, fmt.Errorf("no sandbox became ready within %v", acquireBound)
		}
	}
}

// setCurrent makes z the zygote for new forks. A goroutine closes z once it is retired and its last
// sandbox is gone.
func (p *pool) setCurrent(ctx context.Context, z *zygote) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = z
	close(p.currentChanged)
	p.currentChanged = make(chan struct{})
	p.closers.Go(func() { p.closeWhenIdle(ctx, z) })
}

// replaceRetiring replaces zygotes that are retiring or dead until the pool is drained. A retiring one serves while its
// successor starts, so jobs do not wait. ctx is for ending the zygotes.
func (p *pool) replaceRetiring(ctx context.Context, z *zygote) {
	for {
		select {
		case <-z.retiring:
		case <-p.serving.Done():
			return
		}
		next := p.launchWithRetry(p.serving)
		if next == nil {
			return
		}
		p.setCurrent(ctx, next)
		z.retire()
		z = next
	}
}

// launchWithRetry launches the next zygote. It retries until it succeeds; nil when ctx is done.
func (p *pool) launchWithRetry(ctx context.Context) *zygote {
	for pause := firstRetry; ctx.Err() == nil; pause = sleepBackoff(ctx, pause) {
		z, first, err := p.launch(ctx)
		if err == nil {
			p.host.Teardowns.Start(first.Discard)
			return z
		}
		if ctx.Err() == nil {
			p.logger.Error("zygote start failed", "error", err, "again_in", pause)
		}
	}
	return nil
}

// sleepBackoff sleeps for pause or until ctx is done, and returns the next, longer pause.
func sleepBackoff(ctx context.Context, pause time.Duration) time.Duration {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	return min(2*pause, longestRetry)
}

// closeWhenIdle closes a zygote that is retired once the last of its sandboxes is gone, or when ctx
// is done. It bounds the wait.
func (p *pool) closeWhenIdle(ctx context.Context, z *zygote) {
	defer z.close()
	select {
	case <-z.retired:
	case <-ctx.Done():
		return
	}
	const interval = 100 * time.Millisecond
	longest := time.NewTimer(acquireBound + p.host.Limits.Wall + watchdog.Longest(sandbox.TeardownBound))
	defer longest.Stop()
	for !z.idle() {
		select {
		case <-ctx.Done():
			return
		case <-longest.C:
			p.logger.Error("sandboxes of a retired zygote do not end; they are killed")
			return
		case <-time.After(interval):
		}
	}
}

// drain ends the pool once the jobs that have its sandboxes have ended, and blocks until then, for as long as a job may
// take. It makes no more sandboxes meanwhile. close makes it return sooner.
func (p *pool) drain() {
	p.stopServing()
	p.makers.Wait()
	p.mu.Lock()
	z := p.current
	p.mu.Unlock()
	z.retire()
	p.closers.Wait()
	p.stop()
}

// close ends the pool: its zygotes and every sandbox that was not acquired.
func (p *pool) close() {
	p.stop()
	p.makers.Wait()
	p.closers.Wait()
}

// memoryBytes returns the memory of the current zygote itself, without what the kernel holds of files; 0 if it is not
// known.
func (p *pool) memoryBytes() int64 {
	p.mu.Lock()
	z := p.current
	p.mu.Unlock()
	return host.AnonymousMemory(int(z.pid.Load()))
}
