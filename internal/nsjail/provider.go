package nsjail

import (
	"context"
	"fmt"
	"log/slog"
)

// Provider provides sandboxes of one kind. It is safe for concurrent use.
type Provider interface {
	// Acquire returns a sandbox that is ready for the script. The caller owns it and must call Run
	// or Discard.
	Acquire(ctx context.Context, script string) (*Sandbox, error)
	// Kind returns KindWarm or KindCold.
	Kind() string
	// Close discards the sandboxes that are kept ready. All acquired ones must be gone.
	Close()
}

// The kinds of sandboxes.
const (
	KindWarm = "warm"
	KindCold = "cold"
)

// NewProvider returns a Provider of the kind in Settings.Sandbox that keeps up to ready sandboxes ready.
// If warm sandboxes are not possible on this machine, it logs the reason and returns a Provider of
// cold ones, which are slower but as strictly confined. It returns an error if no sandbox can be
// made, with what is missing in one line, or if ready exceeds MaxReady.
func NewProvider(ctx context.Context, host *Host, ready int, logger *slog.Logger) (Provider, error) {
	if ready > MaxReady {
		return nil, fmt.Errorf("%d sandboxes at once are more than the %d that a worker has user ids for; start more workers instead", ready, MaxReady)
	}
	host.logUnremovableGroups(logger)
	if host.settings.Sandbox == KindWarm {
		host.logMissingPackages(logger)
		warm, err := NewWarm(ctx, host, ready, logger)
		if err == nil {
			return warm, nil
		}
		logger.Warn("warm sandboxes are not possible here; going on with cold ones", "reason", err)
	}
	cold := NewCold(host, logger)
	trial, err := cold.Acquire(ctx, "")
	if err != nil {
		return nil, host.settings.explain(err)
	}
	trial.Discard()
	return cold, nil
}

// explain prefixes an error from starting a sandbox with what is missing.
func (s Settings) explain(err error) error {
	if missing := s.missingRights(); missing != "" {
		return fmt.Errorf("%s (%w)", missing, err)
	}
	return err
}

// Kind implements Provider.
func (*Cold) Kind() string { return KindCold }

// Close implements Provider; Cold keeps nothing ready.
func (*Cold) Close() {}

// Kind implements Provider.
func (*Warm) Kind() string { return KindWarm }
