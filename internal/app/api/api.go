// Package api wires the parts of the API's process together, and runs them.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"cellblock/internal/app"
	"cellblock/internal/audit"
	"cellblock/internal/buildinfo"
	"cellblock/internal/httpapi"
	"cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/live"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/reaper"
	"cellblock/internal/jobs/store"
	"cellblock/internal/jobs/storedfiles"
	"cellblock/internal/jobs/webhook"
	"cellblock/internal/mcpapi"
	"cellblock/internal/notify"
	"cellblock/internal/ratelimit"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
	"cellblock/internal/tenantkeys"
	"cellblock/internal/tracing"
	"cellblock/internal/webui"
)

const (
	// checkInterval is the pause between attempts to read Redis's version.
	checkInterval = time.Second
	checkTimeout  = 15 * time.Second
	// cleanupBound is for parts that stop at once, or after the timeout of a command to a Redis that hangs.
	cleanupBound = 10 * time.Second
)

// service holds the parts of the process that run serves with.
type service struct {
	settings Settings
	// traces is nil if they are off.
	traces *tracing.Tracer
	logger *slog.Logger
	// client is for blocking reads; all other commands use the monitor's client.
	client  redis.UniversalClient
	monitor *redisconn.Monitor
	reaper  *reaper.Reaper
	metrics *telemetry.APIMetrics
	audit   *audit.Log
	keeper  *storedfiles.Keeper
	handler *httpapi.Handler
	// keysFile is nil without API_KEYS_FILE.
	keysFile *tenantkeys.File
	// mcp is nil if MCP is off.
	mcp *mcpapi.Handler
	// sender and webhooks are nil without a secret to sign with.
	sender   *webhook.Sender
	webhooks *queue.Consumer
}

// Run serves the API until ctx is done. It starts without Redis, and is not ready until Redis answers.
func Run(ctx context.Context, settings Settings, logger *slog.Logger) (err error) {
	cleanups := app.NewCleanups(logger)
	defer func() { err = errors.Join(err, cleanups.Run()) }()
	traces, err := tracing.Open(ctx, "cellblock-api", buildinfo.Version(), logger)
	if err != nil {
		return err
	}
	logger = traces.Logger(logger)
	// Last of all: the spans of the last seconds wait in this process.
	cleanups.AddFunc("traces", cleanupBound, traces.Close)
	listener, err := settings.HTTP.Listen(ctx, logger)
	if err != nil {
		return err
	}
	// After an error in newService, without a server to close it, the address would stay taken.
	cleanups.AddFunc("listener", cleanupBound, func() { _ = listener.Close() })
	metricsServer, err := telemetry.Listen(ctx, "API_METRICS_ADDR", settings.MetricsAddr, settings.HTTP.AllowedHosts)
	if err != nil {
		return err
	}
	// A scrape that is being read slowly would keep the process.
	cleanups.AddFunc("metrics server", cleanupBound, func() { _ = metricsServer.Close() })
	s, err := newService(settings, traces, logger, cleanups)
	if err != nil {
		return err
	}
	logger.Info("listening", "addr", listener.Addr().String(), "redis", settings.Redis.Redacted(), "version",
		buildinfo.Version())
	metricsServer.Serve(s.metrics.Handler(), logger)
	return s.serve(ctx, listener)
}

// newService creates the parts, and adds their cleanups.
func newService(
	settings Settings, traces *tracing.Tracer, logger *slog.Logger, cleanups *app.Cleanups,
) (*service, error) {
	s := &service{settings: settings, traces: traces, logger: logger}
	if err := s.openRedis(cleanups); err != nil {
		return nil, err
	}
	keys, err := s.openKeys()
	if err != nil {
		return nil, err
	}
	stored := files.New(settings.Files)
	// Without it, the connections to a bucket would stay open.
	cleanups.Add("file store", cleanupBound, stored.Close)
	producer := queue.NewProducer(s.monitor.Client())
	records := store.New(s.monitor.Client(), settings.Store).WithWebhooks(producer)
	channel := notify.NewChannel()
	settings.Dispatch.Limits = settings.MaxLimits.Limits()
	s.keeper = storedfiles.NewKeeper(records, stored, settings.StoredFiles)
	resolver := storedfiles.NewResolver(s.keeper)
	settings.Dispatch.Files = resolver
	if traces != nil { // not a typed nil
		settings.Dispatch.Traces = traces
	}
	dispatcher := dispatch.New(records, producer, s.client, channel, s.monitor, settings.Dispatch, logger)
	// Its listener would read from a closed client.
	cleanups.AddFunc("dispatcher", cleanupBound, dispatcher.Close)
	s.reaper = reaper.New(records, producer, logger)
	hub := live.New(records, channel, logger)
	// A watch that outlived the server would wait for events that the closed dispatcher no longer delivers.
	cleanups.AddFunc("live output", cleanupBound, hub.Close)
	if err := s.openTelemetry(dispatcher, cleanups); err != nil {
		return nil, err
	}
	config := s.config(dispatcher, keys)
	config.Files, config.Uploads, config.Live = stored, s.keeper, hub
	if settings.Webhook.Enabled() {
		if err := s.newSender(records); err != nil {
			return nil, err
		}
		config.CheckWebhook, config.WebhookSecrets = s.sender.Check, s.sender
	}
	if settings.HTTP.MCP {
		s.mcp = s.newMCP(dispatcher, hub, stored)
		config.MCP = s.mcp
	}
	if settings.HTTP.HasPages() {
		if config.Pages, err = webui.New(); err != nil {
			return nil, err
		}
	}
	s.handler = httpapi.New(dispatcher, config)
	s.watchBudgets(records, resolver)
	return s, nil
}

// config returns the handler's settings, and those of its dependencies that need no cleanup.
func (s *service) config(dispatcher *dispatch.Dispatcher, keys tenantKeys) httpapi.Config {
	return httpapi.Config{
		Settings:      s.settings.HTTP,
		SyncWait:      s.settings.Dispatch.SyncWait,
		Limits:        s.settings.MaxLimits.Limits(),
		StartDeadline: s.settings.Dispatch.StartDeadline,
		Batches:       dispatcher,
		Environments:  dispatcher,
		Usage:         dispatcher,
		Activity:      dispatcher,
		Keys:          keys,
		Rates:         ratelimit.New(s.monitor.Client(), s.logger),
		Audit:         s.audit,
		Traces:        s.traces,
		Metrics:       s.metrics,
		Logger:        s.logger,
	}
}

// openRedis opens the connections to Redis. Their errors at the end are ignored: Redis may be gone before the API.
func (s *service) openRedis(cleanups *app.Cleanups) (err error) {
	if s.client, err = s.settings.Redis.Open(); err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	// Waits for the TLS close of each connection, which a Redis that hangs does not read.
	cleanups.AddFunc("Redis client", cleanupBound, func() { _ = s.client.Close() })
	if s.monitor, err = s.settings.Redis.Monitor(); err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	s.traces.WatchRedis(s.monitor.Client())
	// Waits for a ping in progress too.
	cleanups.AddFunc("Redis monitor", cleanupBound, func() { _ = s.monitor.Close() })
	return nil
}

// serve handles requests until ctx is done or a part fails. It then shuts the server down and waits for the other
// parts.
func (s *service) serve(ctx context.Context, listener net.Listener) error {
	parts, ctx := errgroup.WithContext(ctx)
	server := s.handler.NewServer()
	parts.Go(func() error {
		if err := server.Serve(s.handler.LimitConnections(listener)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	parts.Go(func() error { return s.checkRedis(ctx) })
	parts.Go(func() error { return s.sendWebhooks(ctx) })
	parts.Go(func() error {
		s.watchKeys(ctx)
		return nil
	})
	parts.Go(func() error {
		s.audit.ReopenOnHangup(ctx)
		return nil
	})
	parts.Go(func() error {
		s.reaper.Run(ctx)
		return nil
	})
	parts.Go(func() error {
		s.keeper.Sweep(ctx, func(err error) { s.logger.Warn("removing expired files failed", "error", err) })
		return nil
	})
	<-ctx.Done()
	s.logger.Info("shutting down", "cause", context.Cause(ctx), "timeout", s.settings.HTTP.ShutdownTimeout.String())
	s.shutdown(server)
	return parts.Wait()
}

// shutdown refuses new requests, answers waiting requests with the current state of their jobs, and closes the
// connections that remain after the timeout.
func (s *service) shutdown(server *http.Server) {
	bounded, cancel := context.WithTimeout(context.Background(), s.settings.HTTP.ShutdownTimeout)
	defer cancel()
	s.handler.Drain()
	if s.mcp != nil {
		s.mcp.Drain()
	}
	if err := server.Shutdown(bounded); err != nil {
		s.logger.Warn("closing connections with requests in progress", "error", err)
		_ = server.Close() // its error is of listeners and connections that are gone
	}
}

// checkRedis retries until Redis answers, with one warning in the log, and fails if its version is too old.
func (s *service) checkRedis(ctx context.Context) error {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for warned := false; ; warned = true {
		version, err := s.redisVersion(ctx)
		switch {
		case err == nil:
			s.logger.Info("connected to Redis", "version", version)
			return nil
		case version != "":
			return err
		case ctx.Err() == nil && !warned:
			s.logger.Warn("Redis unreachable; the API is not ready", "redis", s.settings.Redis.Redacted(), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *service) redisVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return redisconn.Check(ctx, s.monitor.Client())
}
