// Command worker takes jobs from the queue and runs each in a sandbox. It is the privileged part of Cellblock.
//
// It exits with 0 after SIGINT or SIGTERM, with 1 when it cannot work, and with 80 when its settings are invalid. A
// second signal stops it at once.
package main

import (
	"context"
	"os"

	"github.com/alecthomas/kong"

	"cellblock/internal/app"
	"cellblock/internal/app/worker"
	"cellblock/internal/buildinfo"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/telemetry"
)

type flags struct {
	worker.Settings
	telemetry.ProbeSettings
	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() {
	var f flags
	kong.Parse(&f,
		kong.Name("worker"),
		kong.Description("Take jobs from the queue and run each in a sandbox. "+
			"Each flag can also be set by the environment variable beside it."),
		kong.Vars{"version": buildinfo.Version(), "prefix": host.DefaultPrefix()},
	)
	if f.Probe {
		os.Exit(telemetry.RunProbe("worker", f.MetricsAddr, "/healthz"))
	}
	logger := f.Log.Logger(os.Stderr)
	app.Main(logger, func(ctx context.Context) error { return worker.Run(ctx, f.Settings, logger) })
}
