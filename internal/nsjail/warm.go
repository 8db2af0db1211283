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
	// onDemand has the packages of PRELOAD_ON_DEMAND; nil if there are none.
	onDemand *onDemandPool
}

// NewWarm starts the zygotes and keeps ready sandboxes of each kind ready: with the packages of
// Settings.Preload loaded, and plain. It returns an error if warm sandboxes are not possible on
// this machine, and leaves nothing behind then. The host must outlive it; the caller must call
// Close.
func NewWarm(ctx context.Context, host *Host, ready int, logger *slog.Logger) (*Warm, error) {
	packages := host.settings.packages()
	w := &Warm{onDemand: newOnDemandPool(ctx, host, ready, logger)}
	var err error
	if w.plain, err = newPool(ctx, host, nil, ready, logger.With("zygote", "plain")); err != nil {
		w.onDemand.close()
		return nil, err
	}
	if len(packages) == 0 {
		return w, nil
	}
	w.names = anyOf(packages)
	w.loaded, err = newPool(ctx, host, packages, ready, logger.With("zygote", strings.Join(packages, ",")))
	if err != nil {
		w.onDemand.close()
		w.plain.close()
		return nil, err
	}
	return w, nil
}

// Acquire returns a ready sandbox for the script: one with packages loaded if the script names any
// of them. It blocks for acquireBound at most. The caller owns the sandbox and must call Run or
// Discard.
func (w *Warm) Acquire(ctx context.Context, script string) (*Sandbox, error) {
	if w.onDemand.matches(script) {
		if p := w.onDemand.get(); p != nil {
			return p.acquire(ctx)
		}
	}
	if w.names != nil && w.names.MatchString(script) {
		return w.loaded.acquire(ctx)
	}
	return w.plain.acquire(ctx)
}

// Close ends the zygotes and every sandbox in them. It closes the pools concurrently, since each
// may take as long as a zygote that does not die.
func (w *Warm) Close() {
	var closing sync.WaitGroup
	closing.Go(w.onDemand.close)
	if w.loaded != nil {
		closing.Go(w.loaded.close)
	}
	closing.Go(w.plain.close)
	closing.Wait()
}
