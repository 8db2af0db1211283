package nsjail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Warm makes warm sandboxes: forks of zygotes, confined ahead of need. It is
// safe for concurrent use.
type Warm struct {
	plain, loaded *pool
	// names finds a preloaded package's name in a script.
	names *regexp.Regexp
	// late has more packages, once they were asked for; nil if there are none.
	late *latePool
}

// NewWarm starts the zygotes and keeps ready sandboxes of each kind: with the
// packages of Settings.Preload loaded, and plain. It fails where this machine
// does not allow warm sandboxes, with the reason; nothing is left then. The
// host outlives it; Close ends it.
func NewWarm(ctx context.Context, host *Host, ready int, logger *slog.Logger) (*Warm, error) {
	packages := host.settings.packages()
	w := &Warm{late: newLatePool(ctx, host, ready, logger)}
	var err error
	if w.plain, err = newPool(ctx, host, nil, ready, logger.With("zygote", "plain")); err != nil {
		w.late.close()
		return nil, err
	}
	if len(packages) == 0 {
		return w, nil
	}
	w.names = anyOf(packages)
	w.loaded, err = newPool(ctx, host, packages, ready, logger.With("zygote", strings.Join(packages, ",")))
	if err != nil {
		w.late.close()
		w.plain.close()
		return nil, err
	}
	return w, nil
}

// Acquire gives a ready sandbox that suits the script: one with the packages
// loaded if the script names any of them. The caller owns it and must Run or
// Discard it.
func (w *Warm) Acquire(ctx context.Context, script string) (*Sandbox, error) {
	if w.late.suits(script) {
		if p := w.late.get(); p != nil {
			return p.take(ctx)
		}
	}
	if w.names != nil && w.names.MatchString(script) {
		return w.loaded.take(ctx)
	}
	return w.plain.take(ctx)
}

// Close ends the zygotes and every sandbox in them.
func (w *Warm) Close() {
	w.late.close()
	if w.loaded != nil {
		w.loaded.close()
	}
	w.plain.close()
}

// pool keeps one zygote alive and some of its forks ready.
type pool struct {
	host     *Host
	packages []string
	logger   *slog.Logger
	ready    chan readySandbox
	// preparers is how many of its goroutines prepare sandboxes.
	preparers int
	stop      context.CancelFunc
	keeping   sync.WaitGroup
}

// readySandbox is one that waits for its script, and the processes it has.
type readySandbox struct {
	*Sandbox
	fork *fork
}

// acquireBound is how long a job waits for a ready sandbox; by then a zygote
// that died has been replaced, or cannot be.
const acquireBound = 60 * time.Second

func newPool(ctx context.Context, host *Host, packages []string, ready int, logger *slog.Logger) (*pool, error) {
	first, err := startZygote(ctx, host, packages, logger)
	if err != nil {
		return nil, fmt.Errorf("start a zygote: %w", err)
	}
	// Each preparer holds one that is ready while the channel is full.
	preparing := max(min(ready, preparers), 1)
	p := &pool{
		host: host, packages: packages, logger: logger, preparers: preparing,
		ready: make(chan readySandbox, max(ready-preparing, 0)),
	}
	// Detached: the pool ends by close, after the jobs that still want from it.
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = stop
	s, err := p.prepare(keeping, first)
	if err != nil {
		stop()
		first.close()
		return nil, err
	}
	s.Discard()
	p.keeping.Go(func() { p.keep(keeping, first) })
	return p, nil
}

// take gives a ready sandbox that is still alive.
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

// keep replaces zygotes as they are spent or die, until the pool is closed.
func (p *pool) keep(ctx context.Context, z *zygote) {
	var retired sync.WaitGroup
	defer retired.Wait()
	for {
		p.fill(ctx, z)
		old := z
		retired.Go(func() { p.outlive(ctx, old) })
		if z = p.replace(ctx); z == nil {
			return
		}
	}
}

// replace starts the next zygote, however often it takes; nil when the pool is
// closed.
func (p *pool) replace(ctx context.Context) *zygote {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		z, err := startZygote(ctx, p.host, p.packages, p.logger)
		if err == nil {
			return z
		}
		p.logger.Error("cannot start a zygote", "error", err, "again_in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
	return nil
}

// preparers is how many forks are made at once: one waits for the kernel while
// the other computes.
const preparers = 2

// fill puts forks of z into the ready channel until z is spent.
func (p *pool) fill(ctx context.Context, z *zygote) {
	var preparing sync.WaitGroup
	for range p.preparers {
		preparing.Go(func() { p.fillOne(ctx, z) })
	}
	preparing.Wait()
}

func (p *pool) fillOne(ctx context.Context, z *zygote) {
	for {
		select {
		case <-z.spent:
			return
		case <-ctx.Done():
			return
		default:
		}
		s, err := p.prepare(ctx, z)
		if err != nil {
			if ctx.Err() == nil {
				p.logger.Error("a zygote does not fork; it is replaced", "error", err)
			}
			z.retireNow()
			return
		}
		select {
		case p.ready <- s:
		case <-ctx.Done():
			s.Discard()
			return
		}
	}
}

// outlive ends a retired zygote once the last of its sandboxes is gone.
func (p *pool) outlive(ctx context.Context, z *zygote) {
	const look = 100 * time.Millisecond
	longest := time.NewTimer(acquireBound + p.host.limits.Wall + teardownBound)
	defer longest.Stop()
	for !z.idle() {
		select {
		case <-ctx.Done():
			z.close()
			return
		case <-longest.C:
			p.logger.Error("sandboxes of a retired zygote do not end; they are killed")
			z.close()
			return
		case <-time.After(look):
		}
	}
	z.close()
}

// close ends the pool: its zygotes, and every sandbox that nobody took.
func (p *pool) close() {
	p.stop()
	p.keeping.Wait()
	for {
		select {
		case s := <-p.ready:
			s.Discard()
		default:
			return
		}
	}
}

// prepare makes one ready sandbox out of z.
func (p *pool) prepare(ctx context.Context, z *zygote) (readySandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, forkBound)
	defer cancel()
	group, err := p.host.newGroup(0)
	if err != nil {
		return readySandbox{}, err
	}
	id := p.host.claim.takeID()
	inner, outer, err := openPipes(group, id)
	if err != nil {
		p.host.claim.giveBack(id)
		return readySandbox{}, errors.Join(err, removeGroup(group))
	}
	defer inner.close()
	body, err := z.fork(inner, p.host.claim.inside(id))
	if err != nil {
		outer.close()
		p.host.claim.giveBack(id)
		return readySandbox{}, errors.Join(err, removeGroup(group))
	}
	inner.close() // the zygote has them
	limits := p.host.limits
	s := &Sandbox{
		limits: limits, body: body, channel: outer.channel,
		outputs: collectBoth(outer.stdout, outer.stderr, limits.OutputBytes),
		group:   group, logger: p.logger, behind: p.host.teardowns.start, release: func() { p.host.claim.giveBack(id) },
	}
	if err := s.awaitReady(ctx, body.awaitBirth); err != nil {
		s.Discard()
		said, _ := s.stderr.take()
		return readySandbox{}, fmt.Errorf("prepare a sandbox: %w; it printed: %q", err, strings.TrimSpace(said))
	}
	body.watchLeaving()
	return readySandbox{s, body}, nil
}
