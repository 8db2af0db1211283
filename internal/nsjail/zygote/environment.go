package zygote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
)

// Environment makes sandboxes of one environment besides the default: warm ones while it has a zygote, and cold ones
// otherwise. Its zygote starts with the first job, which does not wait for it, and ends when it is dropped. It is safe
// for concurrent use.
type Environment struct {
	config poolConfig
	// cold is nil where only warm sandboxes hold: jobs then wait for the zygote.
	cold Acquire

	// ctx ends a start that is under way; working waits for starts and drains.
	ctx     context.Context //nolint:containedctx // of the goroutines that Acquire and Drop start
	stop    context.CancelFunc
	working sync.WaitGroup

	mu   sync.Mutex
	pool *pool
	// openedAt is when the pool was opened.
	openedAt time.Time
	// ending are the pools that are being drained.
	ending map[*pool]bool
	// started is not nil while the zygote starts, and is closed then.
	started chan struct{}
	// retryAt is when a failed start may be retried, for the reason failed.
	retryAt time.Time
	failed  error
	usedAt  time.Time
}

// coldlessRetry is the pause after a failed start where jobs wait for the zygote: shorter than those between a job's
// attempts, so that each attempt is one.
const coldlessRetry = time.Second

// errEnded is the reason why an environment that was retired or closed has no zygote.
var errEnded = errors.New("this version of it was replaced or removed, or the worker ends")

// environmentReady is the most sandboxes that are kept ready of an environment besides the default.
const environmentReady = 2

// NewEnvironment returns an Environment without a zygote. Its zygotes have the packages loaded, and run the exercises.
// NewProvider must have been called for the host. The caller must call Close, before it closes the host.
func NewEnvironment(
	h *host.Host, python host.Interpreter, settings Settings, packages, exercises []string, ready int, cold Acquire,
	logger *slog.Logger,
) (*Environment, error) {
	if err := writeConfig(h, python); err != nil {
		return nil, fmt.Errorf("the environment %s: %w", python.Environment, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Environment{
		config: poolConfig{
			host: h, settings: settings, kind: kind{python: python, packages: packages, exercises: exercises},
			size: min(ready, environmentReady), logger: logger.With("zygote", python.Environment),
			activity: newActivity(),
		},
		cold: cold, ctx: ctx, stop: stop, ending: map[*pool]bool{}, usedAt: time.Now(),
	}, nil
}

// Acquire returns a sandbox that is ready for the script. The caller owns it and must call Run or Discard.
func (e *Environment) Acquire(ctx context.Context, script string) (*sandbox.Sandbox, error) {
	for {
		p, started, failed := e.use()
		switch {
		case p != nil:
			s, err := p.acquireSandbox(ctx, script)
			if !errors.Is(err, errDrained) {
				return s, err
			}
			if e.cold == nil {
				continue
			}
			return e.acquireCold(ctx, script)
		case e.cold != nil:
			return e.acquireCold(ctx, script)
		case started == nil:
			return nil, fmt.Errorf("the environment %s has no zygote: %w", e.config.python.Environment,
				cmp.Or(failed, errEnded))
		}
		select {
		case <-started:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (e *Environment) acquireCold(ctx context.Context, script string) (*sandbox.Sandbox, error) {
	s, err := e.cold(ctx, script)
	if err == nil {
		e.config.settings.CountCold()
	}
	return s, err
}

// Start starts the zygote unless there is one, or a start failed lately. It does not wait.
func (e *Environment) Start() { _, _, _ = e.use() }

// use returns the pool, or else what is closed once it has started, and starts it.
func (e *Environment) use() (p *pool, started <-chan struct{}, failed error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.usedAt = time.Now()
	if e.pool == nil && e.started == nil && e.ctx.Err() == nil && time.Now().After(e.retryAt) {
		e.started = make(chan struct{})
		e.working.Go(e.open)
	}
	if e.started == nil {
		return e.pool, nil, e.failed
	}
	return e.pool, e.started, e.failed
}

func (e *Environment) open() {
	var p *pool
	err := e.checkMemory(host.AvailableMemory())
	if err == nil {
		p, err = newPool(e.ctx, e.config)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.started)
	e.started, e.failed = nil, err
	if err == nil {
		e.pool, e.openedAt = p, time.Now()
		return
	}
	if e.ctx.Err() == nil {
		pause := onDemandRetry
		if e.cold == nil {
			pause = coldlessRetry
		}
		e.retryAt = time.Now().Add(pause)
		e.config.logger.Error("zygote start failed", "error", err, "again_in", pause, "cold_meanwhile", e.cold != nil)
	}
}

// checkMemory returns an error if a zygote may need more memory than the machine has available (0 if that is unknown)
// and jobs can do without one.
func (e *Environment) checkMemory(available int64) error {
	if e.cold == nil || available == 0 || available >= e.config.settings.MemoryMB<<20 {
		return nil
	}
	return fmt.Errorf("%d MiB of memory are available, and ZYGOTE_MEMORY_MB allows it %d", available>>20,
		e.config.settings.MemoryMB)
}

// Age returns for how long there has been a zygote, 0 without one.
func (e *Environment) Age() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pool == nil {
		return 0
	}
	return time.Since(e.openedAt)
}

// IdleFor returns how long no job has come or run, and whether there is a zygote.
func (e *Environment) IdleFor() (idle time.Duration, running bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return min(time.Since(e.usedAt), e.config.activity.idleFor()), e.pool != nil
}

// MemoryBytes returns the memory of the zygote, 0 without one.
func (e *Environment) MemoryBytes() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pool == nil {
		return 0
	}
	return e.pool.memoryBytes()
}

// Ready returns how many warm sandboxes wait for a job.
func (e *Environment) Ready() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pool == nil {
		return 0
	}
	return int(e.pool.waiting.Load())
}

// Drop ends the zygote once the jobs in its sandboxes have ended. It does not wait for them.
func (e *Environment) Drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.pool
	if p == nil {
		return
	}
	e.pool, e.ending[p] = nil, true
	e.working.Go(func() {
		p.drain()
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.ending, p)
	})
}

// Retire ends the environment once its jobs have ended: it starts no zygote any more, and those that come late get cold
// sandboxes. It blocks until the zygote is gone.
func (e *Environment) Retire() {
	e.mu.Lock()
	e.stop() // no start begins after this
	e.mu.Unlock()
	e.Drop()
	e.working.Wait()
	e.Drop() // of a start that was under way
	e.working.Wait()
}

// Close ends the zygote and every sandbox in it. All acquired ones must be gone.
func (e *Environment) Close() {
	e.mu.Lock()
	e.stop()
	for p := range e.ending {
		p.stop()
	}
	e.mu.Unlock()
	e.working.Wait()
	e.mu.Lock()
	p := e.pool
	e.pool = nil
	e.mu.Unlock()
	if p != nil {
		p.close()
	}
}
