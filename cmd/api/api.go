package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/httpapi"
	"cellblock/internal/jobs/callback"
	"cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/files"
	"cellblock/internal/jobs/live"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/reaper"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
	"cellblock/internal/telemetry"
)

const (
	// checkInterval is the pause between attempts to read Redis's version.
	checkInterval = time.Second
	checkTimeout  = 15 * time.Second
)

// api holds the parts of the process. Its owner calls close.
type api struct {
	settings settings
	logger   *slog.Logger
	// client is for blocking reads; all other commands use the monitor's client.
	client     redis.UniversalClient
	monitor    *redisconn.Monitor
	dispatcher *dispatch.Dispatcher
	reaper     *reaper.Reaper
	topics     *redisconn.Topics
	live       *live.Hub
	files      *files.Store
	handler    *httpapi.Handler
	// sender and callbacks are nil without a secret to sign with.
	sender    *callback.Sender
	callbacks *queue.Consumer
}

func newAPI(s settings, logger *slog.Logger) (*api, error) {
	client, err := s.Redis.Open()
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	monitor, err := s.Redis.Monitor()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("REDIS_URL: %w", err), client.Close())
	}
	a := &api{settings: s, logger: logger, client: client, monitor: monitor, files: files.New(s.Files)}
	producer := queue.NewProducer(monitor.Client())
	records := store.New(monitor.Client(), s.Store).WithCallbacks(producer)
	a.topics = redisconn.NewTopics(client)
	s.Dispatch.Limits = s.Ceilings.Limits()
	a.dispatcher = dispatch.New(records, producer, client, a.topics, monitor, s.Dispatch, logger)
	a.reaper = reaper.New(records, producer, logger)
	a.live = live.New(records, a.topics, logger)
	metrics := telemetry.NewAPIMetrics(a.dispatcher, logger)
	config := httpapi.Config{
		Settings: s.HTTP,
		SyncWait: s.Dispatch.SyncWait,
		Limits:   s.Ceilings.Limits(),
		Files:    a.files,
		Live:     a.live,
		Batches:  a.dispatcher,
		Metrics:  metrics,
		Logger:   logger,

		StartDeadline: s.Dispatch.StartDeadline,
	}
	if s.Callback.Enabled() {
		if err := a.newSender(records, metrics); err != nil {
			a.close()
			return nil, err
		}
		config.CheckCallback = a.sender.Check
	}
	a.handler = httpapi.New(a.dispatcher, config)
	return a, nil
}

// close closes what newAPI opened, in reverse order: the dispatcher uses the client.
func (a *api) close() {
	a.live.Close()
	a.dispatcher.Close()
	a.topics.Close()
	if err := a.files.Close(); err != nil {
		a.logger.Debug("closing the files", "error", err)
	}
	if err := a.monitor.Close(); err != nil {
		a.logger.Debug("closing the Redis monitor", "error", err)
	}
	if err := a.client.Close(); err != nil {
		a.logger.Debug("closing the Redis client", "error", err)
	}
}

// serve handles requests until ctx is done or a part fails. It then shuts the server down and waits for the other
// parts.
func (a *api) serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := a.handler.NewServer()
	failures := make(chan error, 3) // one for each part that can fail
	var parts sync.WaitGroup
	part := func(run func() error) {
		parts.Go(func() {
			if err := run(); err != nil {
				failures <- err
				cancel()
			}
		})
	}
	part(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	part(func() error { return a.checkRedis(ctx) })
	part(func() error { return a.sendCallbacks(ctx) })
	part(func() error {
		a.reaper.Run(ctx)
		return nil
	})
	<-ctx.Done()
	a.logger.Info("shutting down", "cause", context.Cause(ctx), "timeout", a.settings.HTTP.ShutdownTimeout.String())
	a.shutdown(server)
	parts.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// shutdown refuses new requests, answers waiting requests with the current state of their jobs, and closes the
// connections that remain after the timeout.
func (a *api) shutdown(server *http.Server) {
	bounded, cancel := context.WithTimeout(context.Background(), a.settings.HTTP.ShutdownTimeout)
	defer cancel()
	a.handler.Drain()
	if err := server.Shutdown(bounded); err != nil {
		a.logger.Warn("requests in progress are cut off", "error", err)
		_ = server.Close() // its error is of listeners and connections that are gone
	}
}

// checkRedis retries until Redis answers, with one warning in the log, and fails if its version is too old.
func (a *api) checkRedis(ctx context.Context) error {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for warned := false; ; warned = true {
		version, err := a.redisVersion(ctx)
		switch {
		case err == nil:
			a.logger.Info("Redis is there", "version", version)
			return nil
		case version != "":
			return err
		case ctx.Err() == nil && !warned:
			a.logger.Warn("Redis is not there yet; until it is, the API is not ready", "redis", a.settings.Redis.Redacted(), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *api) redisVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return redisconn.Check(ctx, a.monitor.Client())
}
