// Package app has what the API's and the worker's process have in common: their start, their end on a signal, and the
// cleanups of their parts. Package api and package worker below it wire the parts together.
package app

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Main calls run and exits: with 0 if run returns nil, else with 1 and a line in the log. The first SIGINT or SIGTERM
// cancels the context, for a graceful shutdown; the second has its default effect and kills the process. Main does not
// return.
func Main(logger *slog.Logger, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx); err != nil {
		logger.Error("exiting with an error", "error", err)
		os.Exit(1)
	}
	os.Exit(0)
}
