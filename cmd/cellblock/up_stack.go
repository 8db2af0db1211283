package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cellblock/internal/jobs/store"
	"cellblock/internal/listen"
	"cellblock/internal/redisconn"
	"cellblock/internal/supervise"
	"cellblock/internal/telemetry"

	"github.com/mattn/go-isatty"
	"github.com/redis/go-redis/v9"
)

const (
	// redisReadyWait is the time for Redis to load a large append-only file.
	redisReadyWait = 2 * time.Minute
	// readyWait is the time for the API and the workers to become ready.
	readyWait = 30 * time.Second
	// pollInterval is the interval of readiness checks, pollTimeout the timeout of each.
	pollInterval = 20 * time.Millisecond
	pollTimeout  = time.Second
	// restartPause precedes the first restart of a process that exited by itself; it doubles up to 3.2 s. The stack
	// stops after restartLimit restarts within restartWindow, since further restarts would not help.
	restartPause  = 200 * time.Millisecond
	restartLimit  = 5
	restartWindow = time.Minute
	// jobStopWait is longer than the longest job (15 s), its kill, and the storing of its result.
	jobStopWait = 30 * time.Second
)

// stack is the set of processes that `up` runs.
type stack struct {
	settings *upCommand
	programs string
	// logFormat is the log format of the API and the workers, whose output is a pipe, so that they cannot detect a
	// terminal. "" leaves the choice to them.
	logFormat string
	output    *supervise.Output
	logger    *slog.Logger // for events, on the same terminal
	group     *supervise.Group
	redis     *ownRedis // nil with another Redis
	redisURL  string
	// stores holds Redis; servers holds the API and the workers, which stop first.
	stores, servers []*supervise.Process
}

func newStack(settings *upCommand, programs string, terminal *os.File) *stack {
	onTerminal := isatty.IsTerminal(terminal.Fd())
	output := supervise.NewOutput(terminal, len(settings.workerName(0)), onTerminal && colorsEnabled())
	s := &stack{
		settings:  settings,
		programs:  programs,
		logFormat: os.Getenv("LOG_FORMAT"),
		output:    output,
		group:     supervise.NewGroup(output),
		redisURL:  settings.RedisURL,
	}
	if s.logFormat == "" && onTerminal {
		s.logFormat = "text"
	}
	s.logger = telemetry.Settings{LogFormat: s.logFormat}.Logger(terminal)
	return s
}

// colorsEnabled reports whether the user has not disabled colors (no-color.org).
func colorsEnabled() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

// start starts everything and returns once a job can be run, or an error. In both cases, call stop to end what was
// started.
func (s *stack) start(ctx context.Context) error {
	if os.Geteuid() != 0 {
		s.output.Printf("note: not root. The worker needs root to run each job under its own user id and cgroup; " +
			"it logs below what it cannot enforce")
	}
	if s.redisURL == "" {
		s.settings.RedisPassword = "" // ours has none
		if err := s.startRedis(); err != nil {
			return err
		}
	}
	connection := redisconn.Settings{
		URL: s.redisURL, CAFile: s.settings.RedisCAFile, Password: s.settings.RedisPassword,
	}
	client, err := connection.Open()
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	defer client.Close()
	if err := s.awaitRedis(ctx, connection, client); err != nil {
		return err
	}
	if err := s.startServers(); err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return telemetry.Probe(ctx, s.settings.APIAddr, "/readyz") }
	if err := s.await(ctx, "the API", readyWait, ready); err != nil {
		return err
	}
	live := store.New(client, store.Settings{})
	return s.await(ctx, "the worker", readyWait, func(ctx context.Context) error {
		n, err := live.LiveWorkers(ctx)
		if err == nil && n < s.settings.Workers {
			err = fmt.Errorf("%d of %d workers have reported", n, s.settings.Workers)
		}
		return err
	})
}

func (s *stack) startRedis() error {
	own, err := newOwnRedis(s.settings.Data)
	if err != nil {
		return err
	}
	s.redis = own
	s.redisURL = own.url()
	if err := own.prepare(); err != nil {
		return err
	}
	program, err := own.program()
	if err != nil {
		return err
	}
	process, err := s.group.Start(program)
	if err != nil {
		return err
	}
	s.stores = append(s.stores, process)
	return nil
}

func (s *stack) awaitRedis(ctx context.Context, connection redisconn.Settings, client redis.UniversalClient) error {
	bound := redisReadyWait
	if s.redis == nil {
		bound = 2 * pollTimeout // another Redis is already up, or not there
	}
	var version string
	err := s.await(ctx, "Redis at "+connection.Redacted(), bound, func(ctx context.Context) (err error) {
		version, err = redisconn.Check(ctx, client)
		return err
	})
	if err != nil {
		return err
	}
	where := "at " + connection.Redacted()
	if s.redis != nil {
		where = "of our own, jobs kept in " + s.redis.data
	}
	s.output.Printf("redis %s %s", version, where)
	return nil
}

// startServers starts the API and the workers.
func (s *stack) startServers() error {
	common := []string{
		"REDIS_URL=" + s.redisURL,
		"REDIS_CA_FILE=" + s.settings.RedisCAFile, "REDIS_PASSWORD=" + s.settings.RedisPassword, // if set by a flag
	}
	if os.Getenv("FILES_URL") == "" {
		common = append(common, "FILES_URL=file://"+filepath.ToSlash(filepath.Join(s.settings.Data, "files")))
	}
	if s.logFormat != "" {
		common = append(common, "LOG_FORMAT="+s.logFormat)
	}
	api := append([]string{"API_ADDR=" + s.settings.APIAddr}, common...)
	for _, name := range apiSecrets {
		if secret, set := os.LookupEnv(name); set {
			api = append(api, name+"="+secret)
		}
	}
	if err := s.startServer("api", "api", api...); err != nil {
		return err
	}
	for i := range s.settings.Workers {
		env := append([]string{"METRICS_ADDR=" + s.settings.workerMetrics(i)}, common...)
		if err := s.startServer("worker", s.settings.workerName(i), env...); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) startServer(program, name string, env ...string) error {
	process, err := s.group.Start(supervise.Program{
		Name:     name,
		Path:     filepath.Join(s.programs, program),
		Env:      childEnvironment(env...),
		StopWait: jobStopWait,
	})
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; `make build` builds it", err)
	}
	if err != nil {
		return err
	}
	s.servers = append(s.servers, process)
	return nil
}

// await polls ready until it succeeds, a process fails, ctx is done, or bound has passed.
func (s *stack) await(ctx context.Context, what string, bound time.Duration, ready func(context.Context) error) error {
	limit := time.NewTimer(bound)
	defer limit.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, pollTimeout)
		err := ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case failure := <-s.group.Failed():
			return failure
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("%s is not ready after %s: %w", what, bound, err)
		}
	}
}

// enableRestarts restarts processes that exit by themselves. It is called once everything is up: before that, an exit
// is final, since a restart does not correct wrong settings.
func (s *stack) enableRestarts() {
	s.group.EnableRestarts(supervise.Restarts{
		Pause: restartPause, Limit: restartLimit, Window: restartWindow,
		Report: func(r supervise.Restart) {
			s.logger.Warn("restarting process", "process", r.Name, "ended", r.Exit,
				"delay", r.Pause.String(), "restart", r.Count, "limit", restartLimit, "window", restartWindow.String())
		},
	})
}

// printReady prints the URL and a first command to try.
func (s *stack) printReady() {
	token := ""
	if os.Getenv("API_TOKEN") != "" {
		token = ` -H "Authorization: Bearer ${API_TOKEN%% *}"`
	}
	base := listen.URL(s.settings.APIAddr)
	s.output.Printf("ready: %s (Ctrl-C stops it)", base)
	s.output.Printf(`try:   curl -sX POST %s/execute -H 'Content-Type: `+
		`application/json'%s -d '{"script":"def main():\n    return 6 * 7"}'`, base, token)
}

// stop ends the servers, then Redis, and releases the lock. Once ctx is done it kills the servers instead of waiting.
// It never kills Redis, which exits within a moment, and would lose the last second's results if killed.
func (s *stack) stop(ctx context.Context) error {
	errs := []error{
		s.group.Stop(ctx, s.servers...),
		s.group.Stop(context.WithoutCancel(ctx), s.stores...),
		s.group.Close(),
	}
	if s.redis != nil {
		errs = append(errs, s.redis.release())
	}
	return errors.Join(errs...)
}
