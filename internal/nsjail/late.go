package nsjail

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// latePool is a pool whose packages few scripts need: its zygote, which takes
// memory and a moment to start, is not there until one does. A nil one suits no
// script.
type latePool struct {
	packages []string
	names    *regexp.Regexp
	start    func() (*pool, error)

	once sync.Once
	// pool is nil where it could not be started; its scripts then load the
	// packages themselves.
	pool *pool
}

// newLatePool prepares it; nil if there are no such packages. close ends it.
func newLatePool(ctx context.Context, host *Host, ready int, logger *slog.Logger) *latePool {
	names := host.settings.onDemand()
	if len(names) == 0 {
		return nil
	}
	packages := slices.Concat(host.settings.packages(), names)
	logger = logger.With("zygote", strings.Join(packages, ","))
	// Not the job's context that is the first to ask: others will use it.
	ctx = context.WithoutCancel(ctx)
	return &latePool{packages: names, names: anyOf(names), start: func() (*pool, error) {
		p, err := newPool(ctx, host, packages, ready, logger)
		if err != nil {
			logger.Warn("a zygote cannot be had; scripts load its packages themselves", "error", err)
		}
		return p, err
	}}
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

// get gives the pool, started at the first call, which the others wait for; nil
// if it cannot be had.
func (l *latePool) get() *pool {
	l.once.Do(func() {
		if p, err := l.start(); err == nil {
			l.pool = p
		}
	})
	return l.pool
}

// close ends the pool, if it was started. Nobody asks for it any more.
func (l *latePool) close() {
	if l == nil {
		return
	}
	l.once.Do(func() {})
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
