// Command api is Cellblock's HTTP server: it accepts scripts, queues them in Redis, and returns their results. It runs
// no scripts.
//
// It exits with 0 after SIGINT or SIGTERM, with 1 when it cannot serve, and with 80 when its settings are invalid. A
// second signal stops it at once.
package main

import (
	"context"
	"log/slog"
	"math"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/alecthomas/kong"

	"cellblock/internal/app"
	"cellblock/internal/app/api"
	"cellblock/internal/buildinfo"
	"cellblock/internal/telemetry"
)

type flags struct {
	api.Settings
	telemetry.ProbeSettings
	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() {
	var f flags
	kong.Parse(&f,
		kong.Name("api"),
		kong.Description(
			"Serve Cellblock's HTTP API. Each flag can also be set by the environment variable beside it."),
		kong.Vars{"version": buildinfo.Version()},
	)
	if f.Probe {
		os.Exit(telemetry.RunProbe("api", f.HTTP.Addr, "/readyz"))
	}
	logger := f.Log.Logger(os.Stderr)
	limitMemory(logger)
	app.Main(logger, func(ctx context.Context) error { return api.Run(ctx, f.Settings, logger) })
}

// limitMemory makes the garbage collector work harder near the memory limit of the container, unless GOMEMLIMIT is set.
// Otherwise the heap may grow to twice of what is in use, and the kernel would end the process.
func limitMemory(logger *slog.Logger) {
	limit, err := memlimit.Set()
	switch {
	case err != nil:
		logger.Debug("memory limit of the container not read", "error", err)
	case limit < math.MaxInt64:
		logger.Info("garbage collector bounded", "bytes", limit)
	}
}
