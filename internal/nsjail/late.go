package nsjail

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// latePool is a pool whose packages few scripts need: its zygote, which takes
// memory and a moment to start, is not there until one does. Scripts do not wait
// for it; until it is there they load the packages themselves. A nil one suits no
// script.
type latePool struct {
	packages []string
	names    *regexp.Regexp
	start    func(context.Context) (*pool, error)
	logger   *slog.Logger

	// ctx ends a start that is under way; starting waits for it.
	ctx      context.Context //nolint:containedctx // of the goroutine that get starts
	stop     context.CancelFunc
	starting sync.WaitGroup

	mu   sync.Mutex
	pool *pool
	busy bool
	// notBefore is when a start that failed may be tried again.
	notBefore time.Time
}

// lateAgain is how long to leave a zygote alone that could not be started.
const lateAgain = time.Minute

// newLatePool prepares it; nil if there are no such packages. close ends it.
func newLatePool(ctx context.Context, host *Host, ready int, logger *slog.Logger) *latePool {
	names := host.settings.onDemand()
	if len(names) == 0 {
		return nil
	}
	packages := slices.Concat(host.settings.packages(), names)
	logger = logger.With("zygote", strings.Join(packages, ","))
	// Not the context of the job that is the first to ask: others will use it.
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &latePool{
		packages: names, names: anyOf(names), logger: logger, ctx: own, stop: stop,
		start: func(ctx context.Context) (*pool, error) { return newPool(ctx, host, packages, ready, logger) },
	}
}

// suits reports whether the script names one of the packages.
func (l *latePool) suits(script string) bool {
	if l == nil {
		return false
	}
	// Nearly no script does, and to look for the text alone takes no time.
	named := func(name string) bool { return strings.Contains(script, name) }
	return slices.ContainsFunc(l.packages, named) && l.names.MatchString(script)
}

// get gives the pool; nil as long as it is not there, and then has it started.
func (l *latePool) get() *pool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pool == nil && !l.busy && l.ctx.Err() == nil && time.Now().After(l.notBefore) {
		l.busy = true
		l.starting.Go(l.open)
	}
	return l.pool
}

func (l *latePool) open() {
	p, err := l.start(l.ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	switch {
	case err == nil:
		l.pool = p
	case l.ctx.Err() == nil:
		l.notBefore = time.Now().Add(lateAgain)
		l.logger.Warn("a zygote cannot be had; scripts load its packages themselves", "error", err, "again_in", lateAgain)
	}
}

// close ends the pool, also one that is about to start. Nobody asks for it any more.
func (l *latePool) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.stop() // no start begins after this
	l.mu.Unlock()
	l.starting.Wait()
	if l.pool != nil {
		l.pool.close()
	}
}

// anyOf finds one of the names in a script, as a word.
func anyOf(names []string) *regexp.Regexp {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	return regexp.MustCompile(`\b(` + strings.Join(quoted, "|") + `)\b`)
}
