// Command api is Cellblock's HTTP server: it accepts scripts, queues them in Redis, and returns their results. It runs
// no scripts.
//
// It exits with 0 after SIGINT or SIGTERM, with 1 when it cannot serve, and with 80 when its settings are invalid. A
// second signal stops it at once.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"cellblock/internal/buildinfo"
	"cellblock/internal/httpapi"
	"cellblock/internal/jobs"
	"cellblock/internal/jobs/callback"
	"cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/store"
	"cellblock/internal/lifecycle"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
)

type settings struct {
	HTTP                    httpapi.Settings   `embed:"" group:"HTTP"`
	Redis                   redisconn.Settings `embed:"" group:"Redis"`
	Store                   store.Settings     `embed:"" group:"Jobs"`
	Files                   files.Settings     `embed:"" group:"Jobs"`
	Dispatch                dispatch.Settings  `embed:"" group:"Jobs"`
	Ceilings                jobs.Ceilings      `embed:"" group:"Limits"`
	Callback                callback.Settings  `embed:"" group:"Callbacks"`
	Log                     telemetry.Settings `embed:"" group:"Log"`
	telemetry.ProbeSettings `embed:""`
	Version                 kong.VersionFlag `help:"Print the version and leave."`
}

// Validate refuses settings that contradict each other. kong calls it.
func (s *settings) Validate() error {
	return errors.Join(s.HTTP.Validate(), s.Store.Validate(), s.Dispatch.Validate(), s.Ceilings.Limits().Validate(), s.Callback.Validate(s.Store.ResultTTL))
}

func main() {
	var s settings
	kong.Parse(&s,
		kong.Name("api"),
		kong.Description("Cellblock's HTTP API. Every flag can be given as the environment variable beside it."),
		kong.Vars{"version": buildinfo.Version()},
	)
	if s.Probe {
		os.Exit(telemetry.ProbeOnce("api", s.HTTP.Addr, "/readyz"))
	}
	logger := s.Log.Logger(os.Stderr)
	lifecycle.Main(logger, func(ctx context.Context) error { return run(ctx, s, logger) })
}

// run serves the API until ctx is done. It starts without Redis, and is not ready until Redis answers.
func run(ctx context.Context, s settings, logger *slog.Logger) error {
	listener, err := s.HTTP.Listen(ctx, logger)
	if err != nil {
		return err
	}
	defer listener.Close() // the server closes it too; this is for the errors before
	api, err := newAPI(s, logger)
	if err != nil {
		return err
	}
	defer api.close()
	logger.Info("listening", "addr", listener.Addr().String(), "redis", s.Redis.Redacted(), "version", buildinfo.Version())
	return api.serve(ctx, listener)
}
