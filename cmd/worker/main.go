// Command worker takes jobs from the queue and runs each in a sandbox. It is the privileged part of Cellblock.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/buildinfo"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/lifecycle"
	"cellblock/internal/nsjail"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
	"cellblock/internal/worker"
)

// settings are the worker's settings, each a flag and an environment variable.
type settings struct {
	Redis                   redisconn.Settings       `embed:""`
	Files                   files.Settings           `embed:""`
	Worker                  worker.Settings          `embed:""`
	Sandbox                 nsjail.Settings          `embed:""`
	Log                     telemetry.Settings       `embed:""`
	Metrics                 telemetry.ServerSettings `embed:""`
	telemetry.ProbeSettings `embed:""`
	Version                 kong.VersionFlag `help:"Print the version and leave."`
}

// Validate refuses contradictory settings, as usage errors. kong calls it.
func (s *settings) Validate() error {
	return errors.Join(s.Sandbox.Validate(), s.Worker.Validate(s.Sandbox.Wall))
}

// Compile-time check: every slot can have a ready sandbox.
const _ = uint(nsjail.MaxReady - worker.MaxConcurrency)

func main() {
	var s settings
	kong.Parse(&s,
		kong.Name("worker"),
		kong.Description("Takes jobs from the queue and runs each in a sandbox. Every flag has an environment variable."),
		kong.Vars{"version": buildinfo.Version(), "prefix": nsjail.DefaultPrefix()},
	)
	if s.Probe {
		os.Exit(telemetry.ProbeOnce("worker", s.Metrics.MetricsAddr, "/healthz"))
	}
	logger := s.Log.Logger(os.Stderr)
	lifecycle.Main(logger, func(ctx context.Context) error { return run(ctx, s, logger) })
}

// metricsPatience is the time for a scrape to end once the worker stops.
const metricsPatience = 2 * time.Second

// run connects the parts of the worker and closes them in reverse order.
func run(ctx context.Context, s settings, logger *slog.Logger) (err error) {
	// First, so that a port in use is found before Redis is contacted and sandboxes are created.
	server, err := s.Metrics.Listen(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), metricsPatience)
		defer cancel()
		_ = server.Close(ctx)
	}()
	client, err := s.Redis.Open()
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	defer client.Close()
	if err := checkRedis(ctx, client, logger); err != nil {
		return err
	}
	host, err := nsjail.Open(ctx, s.Sandbox)
	if err != nil {
		return fmt.Errorf("this machine cannot run sandboxes: %w", err)
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	maker, err := nsjail.NewMaker(ctx, host, s.Worker.Slots(), logger)
	if err != nil {
		return fmt.Errorf("this machine cannot run sandboxes: %w", err)
	}
	defer maker.Close()
	sayWhatHolds(host, maker, logger)

	metrics := telemetry.NewWorkerMetrics()
	metrics.SandboxKind(maker.Kind())
	server.Serve(metrics.Handler(), logger)
	kept := files.New(s.Files)
	defer func() { err = errors.Join(err, kept.Close()) }()
	stopSweeping := sweep(ctx, kept, logger)
	defer stopSweeping()
	return worker.New(worker.Config{
		Settings: s.Worker, Wall: s.Sandbox.Wall, Ceilings: s.Sandbox.Limits().Asked(), Client: client, Files: kept,
		Store: store.New(client, store.DefaultSettings()).WithCallbacks(queue.NewProducer(client)),
		Acquire: func(ctx context.Context, script string) (worker.Sandbox, error) {
			sandbox, err := maker.Acquire(ctx, script)
			if err != nil {
				return nil, err // not a typed nil
			}
			return sandbox, nil
		},
		Metrics: metrics, Logger: logger,
	}).Run(ctx)
}

// sweep removes expired files until stop is called.
func sweep(ctx context.Context, kept *files.Store, logger *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		kept.SweepEvery(ctx, func(err error) { logger.Warn("files that have expired cannot be removed", "error", err) })
	})
	return func() {
		cancel()
		sweeping.Wait()
	}
}

// redisPatience is the timeout for reading Redis's version.
const redisPatience = 5 * time.Second

// checkRedis fails for a Redis that is too old. It only warns if Redis does not answer, since the worker waits for it.
func checkRedis(ctx context.Context, client redis.UniversalClient, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	version, err := redisconn.Check(ctx, client)
	if err != nil && version == "" {
		logger.Warn("Redis is not there yet", "error", err)
		return nil
	}
	return err
}

// sayWhatHolds logs how this machine enforces the limits of jobs.
func sayWhatHolds(host *nsjail.Host, maker nsjail.Maker, logger *slog.Logger) {
	version, err := host.CgroupVersion()
	if err != nil {
		logger.Warn("cgroups cannot be used: limits on memory, processes and CPU time hold for each process only", "reason", err)
		version = "none"
	}
	logger.Info("sandboxes are ready", "kind", maker.Kind(), "cgroups", version)
}
