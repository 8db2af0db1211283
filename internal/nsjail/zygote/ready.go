package zygote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/watchdog"
)

// readySandbox is a sandbox that waits for its script, and its processes.
type readySandbox struct {
	*sandbox.Sandbox
	fork *fork
	// acquired is set once a job has it.
	acquired *atomic.Bool
}

// errHost marks errors of preparing a sandbox that the zygote did not cause.
var errHost = errors.New("the machine lacks what a sandbox needs")

// keepReady keeps one sandbox ready until ctx is done. It owns s, which may be nil.
func (p *pool) keepReady(ctx context.Context, s *readySandbox) {
	for ctx.Err() == nil {
		if s == nil {
			s = p.prepareNext(ctx)
		} else {
			s = p.offer(ctx, s)
		}
	}
	if s != nil {
		s.Discard()
	}
}

// offer blocks until s is acquired, dead or replaced. If the zygote of s retires, s stays on offer
// until its replacement is ready, which offer returns; in all other cases it returns nil.
func (p *pool) offer(ctx context.Context, s *readySandbox) *readySandbox {
	p.waiting.Add(1)
	withdrawn := sync.OnceFunc(func() { p.waiting.Add(-1) })
	defer withdrawn()
	select {
	case p.ready <- s:
		return nil
	case <-s.fork.gone:
		s.Discard()
		return nil
	case <-ctx.Done():
		s.Discard()
		return nil
	case <-s.fork.zygote.retired:
	}
	next := make(chan *readySandbox, 1)
	go func() { next <- p.prepareNext(ctx) }()
	select {
	case p.ready <- s:
		withdrawn()
		return <-next
	case <-s.fork.gone:
		withdrawn()
		s.Discard()
		return <-next
	case fresh := <-next:
		p.host.Teardowns.Start(s.Discard)
		return fresh
	}
}

// prepareNext forks a sandbox from the current zygote. It retries until it succeeds; nil when ctx
// is done.
func (p *pool) prepareNext(ctx context.Context) *readySandbox {
	pause := firstRetry
	for {
		z := p.awaitCurrent(ctx)
		if z == nil {
			return nil
		}
		s, err := p.prepareLimited(ctx, z)
		switch {
		case err == nil:
			return s
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errRetired): // the zygote was retired since awaitCurrent returned it
		case errors.Is(err, errHost), errors.Is(err, sandbox.ErrConnect):
			p.logger.Error("preparing a sandbox failed", "error", err, "again_in", pause)
			pause = sleepBackoff(ctx, pause)
		default:
			p.logger.Error("a zygote does not fork; it is replaced", "error", err)
			z.isUnfit.Store(true)
			z.retire()
		}
	}
}

// awaitCurrent returns the zygote to fork from. It blocks while that is retired and not replaced; nil
// when ctx is done.
func (p *pool) awaitCurrent(ctx context.Context) *zygote {
	for {
		p.mu.Lock()
		z, replaced := p.current, p.currentChanged
		p.mu.Unlock()
		if !z.isRetired() {
			return z
		}
		select {
		case <-replaced:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *pool) prepareLimited(ctx context.Context, z *zygote) (*readySandbox, error) {
	select {
	case p.forkLimiter <- struct{}{}:
		defer func() { <-p.forkLimiter }()
		return p.prepare(ctx, z)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// prepare forks one ready sandbox from z, within forkBound of the time in which the zygote and the fork can run.
func (p *pool) prepare(ctx context.Context, z *zygote) (*readySandbox, error) {
	group, uid, err := p.host.AcquireJob(sandbox.GroupLimits(p.host.Limits, 0))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHost, err)
	}
	var f *fork
	var asked time.Time
	acquired := &atomic.Bool{}
	release := func() {
		p.host.Slot.Release(uid)
		if acquired.Load() {
			p.activity.end()
		}
	}
	s, err := sandbox.New(sandbox.Config{
		Limits: p.host.Limits, Group: group, Locks: p.host.Locks,
		UID: uid, Release: release,
		Start: func(inner *sandbox.InnerEnds) (sandbox.ProcessTree, error) {
			var err error
			asked = time.Now()
			f, err = z.fork(inner, p.host.Slot.InsideUID(uid))
			return f, err
		},
		StartTeardown: p.host.Teardowns.Start, Logger: p.logger,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := watchdog.Context(ctx, forkBound, f.PIDs)
	defer cancel()
	err = s.AwaitReady(ctx)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// The zygote may hang, and the fork with it. Do not wait for the teardown: the caller continues with another
		// zygote.
		p.host.Teardowns.Start(s.Discard)
		return nil, fmt.Errorf("prepare a sandbox: %w", err)
	}
	if err != nil {
		s.Discard()
		return nil, fmt.Errorf("prepare a sandbox: %w; it printed: %q", err, strings.TrimSpace(s.StderrText()))
	}
	p.settings.metrics().Forked(time.Since(asked))
	f.identify()
	return &readySandbox{s, f, acquired}, nil
}
