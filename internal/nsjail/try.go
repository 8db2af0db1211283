package nsjail

import (
	"context"
	"errors"
	"log/slog"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/jail"
)

// TryScript runs one script in a sandbox of its own, without zygotes, and returns how it ended. The error is about this
// machine: it cannot make such a sandbox.
func TryScript(ctx context.Context, settings Settings, script string) (jobs.Outcome, error) {
	h, err := Open(ctx, settings)
	if err != nil {
		return jobs.Outcome{}, err
	}
	defer h.Close() //nolint:errcheck // what the trial leaves is removed at the next start
	if h.GVisor {
		return jobs.Outcome{}, errors.New("inside gVisor a sandbox without a zygote would not hold")
	}
	provider, err := jail.NewProvider(h, h.Interpreter, slog.New(slog.DiscardHandler))
	if err != nil {
		return jobs.Outcome{}, err
	}
	sandbox, err := provider.Acquire(ctx, "")
	if err != nil {
		return jobs.Outcome{}, h.Explain(err)
	}
	return sandbox.Run(ctx, script, jobs.EntryMain, nil), nil
}
