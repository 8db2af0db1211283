package nsjail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"cellblock/internal/environment"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/jail"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/zygote"
)

// Provider provides sandboxes of one kind. It is safe for concurrent use.
type Provider interface {
	// Acquire returns a sandbox that is ready for the script. The caller owns it and must call Run
	// or Discard.
	Acquire(ctx context.Context, script string) (*sandbox.Sandbox, error)
	// Kind returns KindWarm or KindCold.
	Kind() string
	// Ready returns how many sandboxes wait for a job, and ReadyByKind how many of each kind; it is empty if none are
	// made before a job needs one.
	Ready() int
	ReadyByKind() map[string]int
	// Close discards the sandboxes that are kept ready. All acquired ones must be gone.
	Close()
}

// The kinds of sandboxes.
const (
	KindWarm = zygote.Kind
	KindCold = jail.Kind
)

// MaxReady is the most sandboxes that a Provider keeps ready.
const MaxReady = zygote.MaxReady

// ZygoteDeathReasons returns the reasons for which a zygote may end otherwise than as planned.
func ZygoteDeathReasons() []string { return zygote.DeathReasons() }

// Open prepares this machine for sandboxes. The error names what is missing if sandboxes cannot be held to their
// limits. The caller must close the Host, after the Provider.
func Open(ctx context.Context, settings Settings) (*host.Host, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	h, err := host.Open(ctx, settings.Settings, settings.Zygote.Packages())
	if err != nil {
		return nil, err
	}
	if err := environment.CheckApart(settings.EnvironmentsDir, h.Interpreter.Mounts...); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// NewProvider returns a Provider of the kind in settings.Sandbox that keeps up to ready sandboxes ready. If warm
// sandboxes are not possible on this machine, it logs the reason and returns a Provider of cold ones, which are slower
// but as strictly confined. It returns an error if no sandbox can be made, with what is missing in one line, or if
// ready exceeds MaxReady.
//
// It tries in these sandboxes whether their controls bite (package trial). Where cgroups do not, it goes on with
// rlimits only, and logs that; where something does not that no script may do without, it returns an error.
//
// Inside gVisor it returns a Provider of warm sandboxes or an error, and needs root.
func NewProvider(
	ctx context.Context, h *host.Host, settings Settings, ready int, logger *slog.Logger,
) (Provider, error) {
	if ready > MaxReady {
		return nil, fmt.Errorf("%d sandboxes at once are more than the %d that a worker has user ids for; "+
			"start more workers instead", ready, MaxReady)
	}
	if h.Cgroups != nil && len(h.Cgroups.Unremovable()) > 0 {
		logger.Error("processes of a killed worker do not die; their cgroups stay", "cgroups", h.Cgroups.Unremovable())
	}
	h.Locks.LogTo(logger)
	if h.LocksError != nil {
		logger.Warn("a job can hold any number of file locks", "error", h.LocksError)
	}
	provider, tried, err := startProvider(ctx, h, settings, ready, logger)
	if err != nil {
		return nil, err
	}
	if reason := tried.rejectCgroups; reason != nil {
		provider.Close()
		if err := h.RejectCgroups(reason); err != nil {
			return nil, err
		}
		if provider, tried, err = startProvider(ctx, h, settings, ready, logger); err != nil {
			return nil, err
		}
	}
	level := slog.LevelError
	if h.GVisor {
		level = slog.LevelWarn // docs/gvisor.md has what holds instead
	}
	for _, sentence := range tried.without {
		logger.Log(ctx, level, "a control of sandboxes does not bite; going on without it", "reason", sentence)
	}
	for _, sentence := range tried.unknown {
		logger.Warn("a control of sandboxes could not be tried in time; going on", "reason", sentence)
	}
	if tried.refuse != nil {
		provider.Close()
		return nil, tried.refuse
	}
	return provider, nil
}

// startProvider starts the sandboxes and tries them.
func startProvider(
	ctx context.Context, h *host.Host, settings Settings, ready int, logger *slog.Logger,
) (Provider, assessment, error) {
	if err := unfitForGVisor(h, settings); err != nil {
		return nil, assessment{}, err
	}
	cold, err := jail.NewProvider(h, h.Interpreter, logger)
	if err != nil {
		return nil, assessment{}, err
	}
	var tried assessment
	try := func(acquire zygote.Acquire) error {
		tried, err = tryControls(ctx, h, acquire)
		return err
	}
	if settings.Sandbox == KindWarm {
		zygotes, sentences := settings.Zygote.WithoutMissing(h.MissingPackages, h.Settings.Python)
		for _, sentence := range sentences {
			logger.Error("a package cannot be preloaded", "reason", sentence)
		}
		warm, err := zygote.NewProvider(ctx, h, zygotes, ready, logger, try)
		if err == nil {
			return warm, tried, nil
		}
		if h.GVisor {
			return nil, assessment{}, fmt.Errorf("warm sandboxes are not possible here: %w", h.Explain(err))
		}
		logger.Warn("warm sandboxes are not possible here; going on with cold ones", "reason", err)
	}
	if err := try(cold.Acquire); err != nil {
		return nil, assessment{}, h.Explain(err)
	}
	return cold, tried, nil
}

// unfitForGVisor returns an error if the worker is inside gVisor and its settings do not hold there. gVisor lets a
// process kill process 1 of its namespace, and does not show calls of the 32-bit entry to the filter that nsjail makes:
// process 1 must have another user, and the filter must be the runner's.
func unfitForGVisor(h *host.Host, settings Settings) error {
	switch {
	case !h.GVisor:
		return nil
	case settings.Sandbox != KindWarm:
		return errors.New("cold sandboxes do not hold inside gVisor, where a script can kill what watches over it; " +
			"leave SANDBOX at " + KindWarm)
	case h.Slot.SingleUID:
		return errors.New("inside gVisor the worker must be root: otherwise a script has its user id, " +
			"and can kill what watches over it")
	}
	return nil
}
