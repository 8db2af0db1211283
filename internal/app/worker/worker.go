// Package worker wires the parts of a worker's process together, and runs them.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/app"
	"cellblock/internal/buildinfo"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/nsjail"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
	"cellblock/internal/tracing"
	"cellblock/internal/worker"
)

const (
	// redisTimeout is the timeout for reading Redis's version.
	redisTimeout = 5 * time.Second
	// cleanupBound is for parts that stop at once, or after the timeout of a command to a store that hangs.
	cleanupBound = 10 * time.Second
	// sandboxBound is longer than the kernel takes to end a sandbox or a zygote with all of its processes (10 s), and
	// the worker to notice that one does not end.
	sandboxBound = 30 * time.Second
)

// Run takes and runs jobs until ctx is done.
func Run(ctx context.Context, settings Settings, logger *slog.Logger) (err error) {
	cleanups := app.NewCleanups(logger)
	defer func() { err = errors.Join(err, cleanups.Run()) }()
	traces, err := tracing.Open(ctx, "cellblock-worker", buildinfo.Version(), logger)
	if err != nil {
		return err
	}
	logger = traces.Logger(logger)
	// Last of all: the spans of the last seconds wait in this process.
	cleanups.AddFunc("traces", cleanupBound, traces.Close)
	// First, so that a port in use is found before Redis is contacted and sandboxes are created.
	server, err := telemetry.Listen(ctx, "METRICS_ADDR", settings.MetricsAddr, settings.AllowedHosts)
	if err != nil {
		return err
	}
	// A scrape that is being read slowly would keep the process.
	cleanups.AddFunc("metrics server", cleanupBound, func() { _ = server.Close() })
	client, err := openRedis(ctx, settings.Redis, logger, cleanups)
	if err != nil {
		return err
	}
	traces.WatchRedis(client)
	metrics := telemetry.NewWorkerMetrics(nsjail.ZygoteDeathReasons()...)
	metrics.SetSlots(settings.Worker.Slots())
	settings.Sandbox.Zygote.Metrics = metrics
	sandboxes, err := openSandboxes(ctx, settings, metrics, logger, cleanups)
	if err != nil {
		return err
	}
	server.Serve(metrics.Handler(), logger)
	stored := files.New(settings.Files)
	// Without it, the connections to a bucket would stay open.
	cleanups.Add("file store", cleanupBound, stored.Close)
	stopSweep := startSweep(ctx, stored, logger)
	// A sweep that outlived the store would remove files through a closed bucket.
	cleanups.AddFunc("file sweep", cleanupBound, stopSweep)
	return worker.New(worker.Config{
		Settings: settings.Worker, Version: buildinfo.Version(), Wall: settings.Sandbox.Wall,
		MaxLimits: settings.Sandbox.Limits().Requestable(),
		Client:    client, Files: stored,
		Store:        store.New(client, store.DefaultSettings()).WithWebhooks(queue.NewProducer(client)),
		Environments: sandboxes,
		Acquire: func(ctx context.Context, environment, script string) (worker.Sandbox, error) {
			sandbox, err := sandboxes.Acquire(ctx, environment, script)
			if err != nil {
				return nil, err // not a typed nil
			}
			return sandbox, nil
		},
		Metrics: metrics, Traces: tracesOf(traces), Logger: logger,
	}).Run(ctx)
}

// tracesOf returns a tracer for the worker; nil, and not a typed nil, if traces are off.
func tracesOf(tracer *tracing.Tracer) worker.Traces {
	if tracer == nil {
		return nil
	}
	return tracer
}

// openSandboxes makes the machine and the first sandboxes ready, and records how this machine enforces the limits of
// jobs.
func openSandboxes(
	ctx context.Context, settings Settings, metrics *telemetry.WorkerMetrics, logger *slog.Logger,
	cleanups *app.Cleanups,
) (*nsjail.Environments, error) {
	host, err := nsjail.Open(ctx, settings.Sandbox)
	if err != nil {
		return nil, fmt.Errorf("this machine cannot run sandboxes: %w", err)
	}
	// Without it, cgroups and the run directory would stay. Waits for the kernel to end killed sandboxes.
	cleanups.Add("sandbox host", sandboxBound, host.Close)
	provider, err := nsjail.NewProvider(ctx, host, settings.Sandbox, settings.Worker.Slots(), logger)
	if err != nil {
		return nil, fmt.Errorf("this machine cannot run sandboxes: %w", err)
	}
	// Without it, zygotes and ready sandboxes would be killed without their cgroups being removed.
	cleanups.AddFunc("sandboxes", sandboxBound, provider.Close)
	environments := nsjail.OpenEnvironments(ctx, host, settings.Sandbox, provider, settings.Worker.Slots(), logger)
	// Likewise, for those of environments.
	cleanups.AddFunc("environments", sandboxBound, environments.Close)
	metrics.WatchReady(environments.ReadyByKind)
	metrics.SetSandboxKind(provider.Kind())
	version, err := host.CgroupVersion()
	if err == nil {
		metrics.SetLimits(version)
	} else {
		metrics.SetLimits("rlimits")
		logger.Warn("cgroups unusable: limits on memory, processes and CPU time hold for each process only", "reason",
			err)
		version = "none"
	}
	if shortage := host.Shortage(settings.Worker.Slots()); shortage != "" {
		logger.Warn("jobs may use up what others need", "shortage", shortage)
	}
	logger.Info("sandboxes ready", "kind", provider.Kind(), "cgroups", version)
	return environments, nil
}

// startSweep removes expired files until stop is called, which blocks until the sweep has ended.
func startSweep(ctx context.Context, stored *files.Store, logger *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var sweep sync.WaitGroup
	sweep.Go(func() {
		stored.SweepEvery(ctx, func(err error) { logger.Warn("removing expired files failed", "error", err) })
	})
	return func() {
		cancel()
		sweep.Wait()
	}
}

// openRedis opens the connections to Redis. It fails if Redis is too old, and only warns if Redis does not answer,
// since the worker waits for it.
func openRedis(
	ctx context.Context, settings redisconn.Settings, logger *slog.Logger, cleanups *app.Cleanups,
) (redis.UniversalClient, error) {
	client, err := settings.Open()
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	// Waits for the TLS close of each connection, which a Redis that hangs does not read. Its error is ignored: Redis
	// may be gone before the worker.
	cleanups.AddFunc("Redis client", cleanupBound, func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	version, err := redisconn.Check(ctx, client)
	if err != nil && version == "" {
		logger.Warn("Redis unreachable; the worker waits for it", "error", err)
		return client, nil
	}
	return client, err
}
