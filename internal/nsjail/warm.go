package nsjail

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// Warm makes warm sandboxes: forks of zygotes, confined before a job needs them. It is safe for
// concurrent use.
type Warm struct {
	plain, loaded *pool
	// names matches the names of the preloaded packages in a script.
	names *regexp.Regexp
	// late has the packages of PRELOAD_ON_DEMAND; nil if there are none.
	late *latePool
}

// NewWarm starts the zygotes and keeps ready sandboxes of each kind ready: with the packages of
// Settings.Preload loaded, and plain. It returns an error if warm sandboxes are not possible on
// this machine, and leaves nothing behind then. The host must outlive it; the caller must call
// Close.
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

// Acquire returns a ready sandbox for the script: one with packages loaded if the script names any
// of them. It blocks for acquireBound at most. The caller owns the sandbox and must call Run or
// Discard.
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

// Close ends the zygotes and every sandbox in them. It closes the pools concurrently, since each
// may take as long as a zygote that does not die.
func (w *Warm) Close() {
	var closing sync.WaitGroup
	closing.Go(w.late.close)
	if w.loaded != nil {
		closing.Go(w.loaded.close)
	}
	closing.Go(w.plain.close)
	closing.Wait()
}
