package nsjail

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"cellblock/internal/environment"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/jail"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/zygote"
)

// Environments provides sandboxes of every environment that is installed on this machine. It follows ENVIRONMENTS_DIR:
// new, changed and removed environments count within seconds, and jobs that run end in the version in which they began.
// It is safe for concurrent use.
type Environments struct {
	host     *host.Host
	settings Settings
	ready    int
	logger   *slog.Logger
	// standard makes the sandboxes of the default environment.
	standard Provider
	stop     context.CancelFunc
	loops    sync.WaitGroup
	// seen is the state of the folder that was read last, and retryAt when it is read again without a change; zero if
	// all of it is open. Only the following goroutine uses them.
	seen    string
	retryAt time.Time

	mu sync.Mutex
	// open are the environments besides the default, by name.
	open    map[string]*openEnvironment
	current []jobs.Environment
	changed chan struct{}
	// retiring are zygotes of versions that are gone, whose jobs have not all ended.
	retiring map[*zygote.Environment]bool
}

// openEnvironment is an installed environment of which sandboxes can be made.
type openEnvironment struct {
	environment.Installed

	// sandboxes is nil if warm ones are not made; cold is nil if only these hold.
	sandboxes *zygote.Environment
	cold      *jail.Provider
}

// OpenEnvironments returns the Environments with the installed ones open. standard makes the sandboxes of the default;
// both keep up to ready of each kind ready. The caller must call Close, before it closes standard and the host.
func OpenEnvironments(
	ctx context.Context, h *host.Host, settings Settings, standard Provider, ready int, logger *slog.Logger,
) *Environments {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	e := &Environments{
		host: h, settings: settings, ready: ready, logger: logger, standard: standard, stop: stop,
		open: map[string]*openEnvironment{}, changed: make(chan struct{}), retiring: map[*zygote.Environment]bool{},
		current: []jobs.Environment{describeStandard(h, logger)},
	}
	e.refresh(ctx)
	e.loops.Go(func() { e.follow(following) })
	return e
}

// Acquire returns a sandbox with an environment ("" for the default) that is ready for the script. The caller owns it
// and must call Run or Discard.
func (e *Environments) Acquire(ctx context.Context, name, script string) (*sandbox.Sandbox, error) {
	s, err := e.acquire(ctx, name, script)
	if err == nil && e.settings.Sandbox == KindWarm && e.standard.Kind() == KindCold {
		e.settings.Zygote.CountCold()
	}
	return s, err
}

func (e *Environments) acquire(ctx context.Context, name, script string) (*sandbox.Sandbox, error) {
	if name == "" || name == jobs.DefaultEnvironment {
		return e.standard.Acquire(ctx, script)
	}
	e.mu.Lock()
	found := e.open[name]
	e.mu.Unlock()
	switch {
	case found == nil:
		return nil, fmt.Errorf("there is no environment %q on this machine", name)
	case found.sandboxes != nil:
		return found.sandboxes.Acquire(ctx, script)
	default:
		return found.cold.Acquire(ctx, script)
	}
}

// List returns the current environments, the default first, and a channel that is closed once there are others.
func (e *Environments) List() (current []jobs.Environment, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current, e.changed
}

// Ready returns how many sandboxes of each environment wait for a job, by name.
func (e *Environments) Ready() map[string]int {
	e.mu.Lock()
	open := maps.Clone(e.open)
	e.mu.Unlock()
	ready := map[string]int{jobs.DefaultEnvironment: e.standard.Ready()}
	for name, environment := range open {
		ready[name] = 0 // cold ones are made when a job needs one
		if environment.sandboxes != nil {
			ready[name] = environment.sandboxes.Ready()
		}
	}
	return ready
}

// ReadyByKind returns how many warm sandboxes wait for a job, by environment and kind (plain, or the packages that are
// loaded).
func (e *Environments) ReadyByKind() map[string]map[string]int {
	e.mu.Lock()
	open := maps.Clone(e.open)
	e.mu.Unlock()
	ready := map[string]map[string]int{jobs.DefaultEnvironment: e.standard.ReadyByKind()}
	for name, environment := range open {
		if environment.sandboxes != nil {
			ready[name] = environment.sandboxes.ReadyByKind()
		}
	}
	return ready
}

// Close ends the zygotes. All sandboxes must be gone.
func (e *Environments) Close() {
	e.stop()
	e.mu.Lock()
	closing := slices.Collect(maps.Keys(e.retiring))
	e.mu.Unlock()
	for _, retiring := range closing {
		e.loops.Go(retiring.Close)
	}
	e.loops.Wait()
	for _, open := range e.open {
		if open.sandboxes != nil {
			e.loops.Go(open.sandboxes.Close)
		}
	}
	e.loops.Wait()
}

// replace makes next the open environments.
func (e *Environments) replace(next map[string]*openEnvironment) {
	if maps.Equal(e.open, next) {
		return
	}
	described := e.current[:1:1]
	for name := range next {
		described = append(described, describe(next[name].Manifest))
	}
	slices.SortFunc(described, func(a, b jobs.Environment) int { return jobs.CompareEnvironments(a.Name, b.Name) })
	e.mu.Lock()
	before := e.open
	e.open, e.current = next, described
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	for name, old := range before {
		if next[name] == old {
			continue
		}
		e.logger.Info("environment retired", "environment", name, "hash", old.Hash)
		if old.sandboxes != nil {
			e.retire(old.sandboxes)
		}
	}
}

// retire ends the zygote of a version once its jobs have ended.
func (e *Environments) retire(sandboxes *zygote.Environment) {
	e.mu.Lock()
	e.retiring[sandboxes] = true
	e.mu.Unlock()
	e.loops.Go(func() {
		sandboxes.Retire()
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.retiring, sandboxes)
	})
}

// openOne prepares this machine for sandboxes of an environment.
func (e *Environments) openOne(ctx context.Context, found environment.Installed) (*openEnvironment, error) {
	python, missing, err := e.host.OpenInterpreter(ctx, found, e.settings.EnvironmentsDir)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		e.logger.Error("packages of an environment cannot be preloaded: they are not installed in it",
			"environment", found.Name, "packages", missing)
	}
	opened := &openEnvironment{Installed: found}
	if !e.host.GVisor { // where cold ones do not hold
		if opened.cold, err = jail.NewProvider(e.host, python, e.logger); err != nil {
			return nil, err
		}
	}
	if e.standard.Kind() != KindWarm {
		return opened, nil
	}
	var cold zygote.Acquire
	if opened.cold != nil {
		cold = opened.cold.Acquire
	}
	preload := slices.DeleteFunc(slices.Clone(found.Preload), func(name string) bool {
		return slices.Contains(missing, name)
	})
	opened.sandboxes, err = zygote.NewEnvironment(e.host, python, e.settings.Zygote, preload, found.Exercises, e.ready,
		cold, e.logger)
	if err == nil && found.Start == environment.StartAlways {
		opened.sandboxes.Start()
	}
	return opened, err
}
