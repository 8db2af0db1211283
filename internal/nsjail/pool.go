package nsjail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// pool keeps one zygote alive and some of its forks ready. A zygote that reached its number of
// forks serves until its successor has made a first one.
type pool struct {
	host     *Host
	packages []string
	logger   *slog.Logger
	// ready is unbuffered: each ready sandbox is owned by a goroutine, which replaces it when its
	// zygote retires or dies.
	ready chan *readySandbox
	// turns bounds how many forks are made at once.
	turns   chan struct{}
	stop    context.CancelFunc
	keeping sync.WaitGroup

	mu     sync.Mutex
	zygote *zygote
	// replaced is closed when zygote changes.
	replaced chan struct{}
}

// readySandbox is a sandbox that waits for its script, and its processes.
type readySandbox struct {
	*Sandbox
	fork *fork
}

const (
	// acquireBound is how long a job waits for a ready sandbox. That is long enough to replace a
	// zygote that died.
	acquireBound = 60 * time.Second
	// preparers is how many forks are made at once: one waits for the kernel while the other
	// computes.
	preparers = 2
	// firstRetry and longestRetry bound the pauses after a zygote or a sandbox could not be made.
	firstRetry   = 100 * time.Millisecond
	longestRetry = 5 * time.Second
)

// errMachine marks errors of preparing a sandbox that the zygote did not cause.
var errMachine = errors.New("the machine lacks what a sandbox needs")

// newPool starts a pool that keeps ready sandboxes ready, at least one. It returns an error if no
// sandbox can be made, and leaves nothing behind then.
func newPool(ctx context.Context, host *Host, packages []string, ready int, logger *slog.Logger) (*pool, error) {
	p := &pool{
		host: host, packages: packages, logger: logger,
		ready: make(chan *readySandbox), turns: make(chan struct{}, preparers), replaced: make(chan struct{}),
	}
	// Detached from ctx: close ends the pool, after the jobs that still need sandboxes.
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	z, first, err := p.launch(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	p.adopt(keeping, z)
	p.keeping.Go(func() { p.succeed(keeping, z) })
	p.keeping.Go(func() { p.hold(keeping, first) })
	for range ready - 1 {
		p.keeping.Go(func() { p.hold(keeping, nil) })
	}
	return p, nil
}

// launch starts a zygote and forks a first sandbox, which proves that it works. The caller owns
// both.
func (p *pool) launch(ctx context.Context) (*zygote, *readySandbox, error) {
	z, err := startZygote(ctx, p.host, p.packages, p.logger)
	if err != nil {
		return nil, nil, fmt.Errorf("start a zygote: %w", err)
	}
	first, err := p.prepare(ctx, z)
	if err != nil {
		z.close()
		return nil, nil, err
	}
	return z, first, nil
}

// take returns a live ready sandbox, which the caller owns. It returns an error when ctx is done or
// after acquireBound.
func (p *pool) take(ctx context.Context) (*Sandbox, error) {
	bound := time.NewTimer(acquireBound)
	defer bound.Stop()
	for {
		select {
		case s := <-p.ready:
			if s.fork.usable() {
				return s.Sandbox, nil
			}
			s.Discard() // its zygote died meanwhile
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-bound.C:
			return nil, fmt.Errorf("no sandbox became ready within %v", acquireBound)
		}
	}
}

// adopt makes z the zygote for new forks. A goroutine closes z once it is spent and its last
// sandbox is gone.
func (p *pool) adopt(ctx context.Context, z *zygote) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.zygote = z
	close(p.replaced)
	p.replaced = make(chan struct{})
	p.keeping.Go(func() { p.outlive(ctx, z) })
}

// succeed replaces zygotes that are worn or dead until ctx is done. A worn one serves while its
// successor starts, so jobs do not wait.
func (p *pool) succeed(ctx context.Context, z *zygote) {
	for {
		select {
		case <-z.worn:
		case <-ctx.Done():
			return
		}
		next := p.replace(ctx)
		if next == nil {
			return
		}
		p.adopt(ctx, next)
		z.retireNow()
		z = next
	}
}

// replace launches the next zygote. It retries until it succeeds; nil when ctx is done.
func (p *pool) replace(ctx context.Context) *zygote {
	for pause := firstRetry; ctx.Err() == nil; pause = wait(ctx, pause) {
		z, first, err := p.launch(ctx)
		if err == nil {
			p.host.teardowns.start(first.Discard)
			return z
		}
		if ctx.Err() == nil {
			p.logger.Error("zygote start failed", "error", err, "again_in", pause)
		}
	}
	return nil
}

// wait sleeps for pause or until ctx is done, and returns the next, longer pause.
func wait(ctx context.Context, pause time.Duration) time.Duration {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	return min(2*pause, longestRetry)
}

// hold keeps one sandbox ready until ctx is done. It owns s, which may be nil.
func (p *pool) hold(ctx context.Context, s *readySandbox) {
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

// offer blocks until s is taken, dead or replaced. If the zygote of s retires, s stays on offer
// until its replacement is ready, which offer returns; in all other cases it returns nil.
func (p *pool) offer(ctx context.Context, s *readySandbox) *readySandbox {
	select {
	case p.ready <- s:
		return nil
	case <-s.fork.gone:
		s.Discard()
		return nil
	case <-ctx.Done():
		s.Discard()
		return nil
	case <-s.fork.zygote.spent:
	}
	next := make(chan *readySandbox, 1)
	go func() { next <- p.prepareNext(ctx) }()
	select {
	case p.ready <- s:
		return <-next
	case <-s.fork.gone:
		s.Discard()
		return <-next
	case fresh := <-next:
		p.host.teardowns.start(s.Discard)
		return fresh
	}
}

// prepareNext forks a sandbox from the current zygote. It retries until it succeeds; nil when ctx
// is done.
func (p *pool) prepareNext(ctx context.Context) *readySandbox {
	pause := firstRetry
	for {
		z := p.present(ctx)
		if z == nil {
			return nil
		}
		s, err := p.prepareInTurn(ctx, z)
		switch {
		case err == nil:
			return s
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errSpent): // the zygote was spent since present returned it
		case errors.Is(err, errMachine):
			p.logger.Error("preparing a sandbox failed", "error", err, "again_in", pause)
			pause = wait(ctx, pause)
		default:
			p.logger.Error("a zygote does not fork; it is replaced", "error", err)
			z.retireNow()
		}
	}
}

// present returns the zygote to fork from. It blocks while that is spent and not replaced; nil when
// ctx is done.
func (p *pool) present(ctx context.Context) *zygote {
	for {
		p.mu.Lock()
		z, replaced := p.zygote, p.replaced
		p.mu.Unlock()
		if !z.isSpent() {
			return z
		}
		select {
		case <-replaced:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *pool) prepareInTurn(ctx context.Context, z *zygote) (*readySandbox, error) {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
		return p.prepare(ctx, z)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// outlive closes a zygote that is spent once the last of its sandboxes is gone, or when ctx is
// done. It bounds the wait.
func (p *pool) outlive(ctx context.Context, z *zygote) {
	defer z.close()
	select {
	case <-z.spent:
	case <-ctx.Done():
		return
	}
	const look = 100 * time.Millisecond
	longest := time.NewTimer(acquireBound + p.host.limits.Wall + teardownBound)
	defer longest.Stop()
	for !z.idle() {
		select {
		case <-ctx.Done():
			return
		case <-longest.C:
			p.logger.Error("sandboxes of a retired zygote do not end; they are killed")
			return
		case <-time.After(look):
		}
	}
}

// close ends the pool: its zygotes and every sandbox that was not taken.
func (p *pool) close() {
	p.stop()
	p.keeping.Wait()
}

// prepare forks one ready sandbox from z, within forkBound.
func (p *pool) prepare(ctx context.Context, z *zygote) (*readySandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, forkBound)
	defer cancel()
	group, err := p.host.newGroup(0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMachine, err)
	}
	id, err := p.host.claim.takeID()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errMachine, err), removeGroup(group))
	}
	inner, outer, err := openPipes(group, id)
	if err != nil {
		p.host.claim.giveBack(id)
		return nil, errors.Join(fmt.Errorf("%w: %w", errMachine, err), removeGroup(group))
	}
	defer inner.close()
	body, err := z.fork(inner, p.host.claim.inside(id))
	if err != nil {
		outer.close()
		p.host.claim.giveBack(id)
		return nil, errors.Join(err, removeGroup(group))
	}
	inner.close() // the zygote has its own copies
	limits := p.host.limits
	s := &Sandbox{
		limits: limits, body: body, channel: outer.channel,
		outputs: collectBoth(outer.stdout, outer.stderr, limits.OutputBytes),
		group:   group, logger: p.logger, behind: p.host.teardowns.start, release: func() { p.host.claim.giveBack(id) },
	}
	err = s.awaitReady(ctx, body.awaitBirth)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// The zygote may hang, and the fork with it. Do not wait for the teardown: the caller
		// continues with another zygote.
		p.host.teardowns.start(s.Discard)
		return nil, fmt.Errorf("prepare a sandbox: %w", err)
	}
	if err != nil {
		s.Discard()
		said, _ := s.stderr.take()
		return nil, fmt.Errorf("prepare a sandbox: %w; it printed: %q", err, strings.TrimSpace(said))
	}
	body.watchLeaving()
	return &readySandbox{s, body}, nil
}
