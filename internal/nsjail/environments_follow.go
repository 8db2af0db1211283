package nsjail

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cellblock/internal/environment"
	"cellblock/internal/jobs"
)

// followInterval is how often the environments' folder is looked at, and their zygotes are.
const followInterval = 2 * time.Second

// Defaults of settings of the same names.
const (
	environmentsRetry = 30 * time.Second
	zygoteMinAge      = 30 * time.Second
)

func (e *Environments) follow(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			e.refresh(ctx)
			e.tendZygotes()
		case <-ctx.Done():
			return
		}
	}
}

// refresh opens what is new in the folder and retires what is gone. What could not be read or opened is tried again
// after a pause: the reason may pass.
func (e *Environments) refresh(ctx context.Context) {
	isDue := !e.retryAt.IsZero() && time.Now().After(e.retryAt)
	state, err := folderState(e.settings.EnvironmentsDir)
	if err != nil {
		if e.retryAt.IsZero() || isDue {
			e.logger.Error("the folder of the environments cannot be read; going on with what is open", "error", err)
			e.retryLater()
		}
		return
	}
	if state == e.seen && !isDue && !e.lostOne() {
		return
	}
	e.seen, e.retryAt = state, time.Time{}
	installed, err := environment.List(e.settings.EnvironmentsDir)
	next := map[string]*openEnvironment{}
	if err != nil {
		e.logger.Error("environments cannot be read", "error", err)
		e.retryLater()
		// Only this goroutine changes the map.
		for name, old := range e.open {
			if e.isPresent(old) {
				next[name] = old
			}
		}
	}
	for _, found := range installed {
		delete(next, found.Name)
		if opened := e.openNext(ctx, found); opened != nil {
			next[found.Name] = opened
		}
	}
	e.replace(next)
}

func (e *Environments) retryLater() {
	e.retryAt = time.Now().Add(cmp.Or(e.settings.EnvironmentsRetry, environmentsRetry))
}

// openNext returns what is open of an installed environment from now on; nil if nothing is.
func (e *Environments) openNext(ctx context.Context, found environment.Installed) *openEnvironment {
	if found.Name == jobs.DefaultEnvironment {
		e.logger.Error("an environment cannot have the name of the default; it is left out", "dir", found.Dir)
		return nil
	}
	old := e.open[found.Name]
	if old != nil && old.Dir == found.Dir && old.Hash == found.Hash {
		return old
	}
	opened, err := e.openOne(ctx, found)
	if err == nil {
		e.logger.Info("environment opened", "environment", found.Name, "hash", found.Hash)
		return opened
	}
	e.retryLater()
	if old != nil && !old.isGone() { // until the next build
		e.logger.Error("a new version of an environment cannot be used; going on with the one before",
			"environment", found.Name, "error", err)
		return old
	}
	e.logger.Error("an environment cannot be used", "environment", found.Name, "error", err)
	return nil
}

// isPresent reports whether the link of an open environment, which could not be read, still leads to it.
func (e *Environments) isPresent(open *openEnvironment) bool {
	dir, err := filepath.EvalSymlinks(filepath.Join(e.settings.EnvironmentsDir, open.Name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && dir != open.Dir {
		return false
	}
	return !open.isGone()
}

// lostOne reports whether the folder of an open environment was removed: a version before the present one stays only
// until the next build.
func (e *Environments) lostOne() bool {
	for _, open := range e.open {
		if open.isGone() {
			return true
		}
	}
	return false
}

// isGone reports whether the version was removed. Its manifest goes first.
func (o *openEnvironment) isGone() bool {
	_, err := os.Stat(filepath.Join(o.Dir, environment.ManifestFile))
	return errors.Is(err, fs.ErrNotExist)
}

// tendZygotes ends the zygotes that no job has needed for a while, and starts those that are to run always.
func (e *Environments) tendZygotes() {
	var running []*openEnvironment
	for _, open := range e.open {
		if open.sandboxes == nil {
			continue
		}
		idle, runs := open.sandboxes.IdleFor()
		switch {
		case open.Start == environment.StartAlways && !runs: // its last start failed
			open.sandboxes.Start()
		case !runs:
		case idle >= e.settings.ZygoteIdle && open.Start != environment.StartAlways:
			e.logger.Info("zygote dropped: no job needed it", "environment", open.Name)
			open.sandboxes.Drop()
		default:
			running = append(running, open)
		}
	}
	e.keepBudget(running)
}

// keepBudget ends the zygotes used least recently while all of them have more memory than they may. Young ones stay, so
// that environments that get jobs in turn do not replace each other all the time.
func (e *Environments) keepBudget(running []*openEnvironment) {
	type candidate struct {
		*openEnvironment

		idle   time.Duration
		memory int64
	}
	var memory int64
	var candidates []candidate
	for _, open := range running {
		used := open.sandboxes.MemoryBytes()
		memory += used
		minAge := cmp.Or(e.settings.ZygoteMinAge, zygoteMinAge)
		if open.Start != environment.StartAlways && open.sandboxes.Age() >= minAge {
			idle, _ := open.sandboxes.IdleFor()
			candidates = append(candidates, candidate{open, idle, used})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.idle, a.idle) })
	left := len(running)
	for _, c := range candidates {
		if left == 1 || memory <= e.settings.ZygoteBudgetMB<<20 {
			return
		}
		e.logger.Info("zygote dropped: the zygotes have more memory than ZYGOTE_BUDGET_MB", "environment", c.Name,
			"bytes", memory)
		c.sandboxes.Drop()
		memory -= c.memory
		left--
	}
}
