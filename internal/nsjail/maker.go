package nsjail

import (
	"context"
	"fmt"
	"log/slog"
)

// Maker makes sandboxes of one kind. It is safe for concurrent use.
type Maker interface {
	// Acquire gives a sandbox that is ready for the script. The caller owns it
	// and must Run or Discard it.
	Acquire(ctx context.Context, script string) (*Sandbox, error)
	// Kind is "warm" or "cold".
	Kind() string
	// Close ends what the maker keeps ready. Sandboxes that were handed out must
	// be gone.
	Close()
}

// The kinds of sandboxes.
const (
	KindWarm = "warm"
	KindCold = "cold"
)

// NewMaker makes what Settings.Sandbox asks for, with so many sandboxes ready
// at any time. Where this machine does not allow warm ones it says why in the
// log, and makes cold ones: those are slower, and never weaker. It fails where
// no sandbox can be made at all, with a line that says what is missing, and for
// more than MaxReady.
func NewMaker(ctx context.Context, host *Host, ready int, logger *slog.Logger) (Maker, error) {
	if ready > MaxReady {
		return nil, fmt.Errorf("%d sandboxes at once are more than the %d that a worker has user ids for; start more workers instead", ready, MaxReady)
	}
	host.reportLeft(logger)
	if host.settings.Sandbox == KindWarm {
		host.reportMissing(logger)
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

// explain puts what is missing before an error of a sandbox that does not start.
func (s Settings) explain(err error) error {
	if missing := s.missing(); missing != "" {
		return fmt.Errorf("%s (%w)", missing, err)
	}
	return err
}

// Kind implements Maker.
func (*Cold) Kind() string { return KindCold }

// Close implements Maker; there is nothing that is kept.
func (*Cold) Close() {}

// Kind implements Maker.
func (*Warm) Kind() string { return KindWarm }
