package nsjail

import (
	"context"
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
// log, and makes cold ones: those are slower, and never weaker.
func NewMaker(ctx context.Context, host *Host, ready int, logger *slog.Logger) Maker {
	if host.settings.Sandbox == KindWarm {
		warm, err := NewWarm(ctx, host, ready, logger)
		if err == nil {
			return warm
		}
		logger.Warn("warm sandboxes are not possible here; going on with cold ones", "reason", err)
	}
	return NewCold(host, logger)
}

// Kind implements Maker.
func (*Cold) Kind() string { return KindCold }

// Close implements Maker; there is nothing that is kept.
func (*Cold) Close() {}

// Kind implements Maker.
func (*Warm) Kind() string { return KindWarm }
