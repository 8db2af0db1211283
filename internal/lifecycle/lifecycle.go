// Package lifecycle is how the programs begin and end.
package lifecycle

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a program and ends the process: with 0 when run gives nil, with 1
// and a line in the log when it gives an error. The context ends at the first
// SIGINT or SIGTERM, for a graceful end; a second has its default effect and
// kills. It does not return.
func Main(logger *slog.Logger, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx); err != nil {
		logger.Error("the program ends", "error", err)
		os.Exit(1)
	}
	os.Exit(0)
}
