package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// upCommand is `cellblock up`. All other settings of the API and the worker are passed on through the environment.
type upCommand struct {
	APIAddr       string `name:"api-addr" env:"API_ADDR" default:"127.0.0.1:8080" help:"Address that the API listens on (host:port; port 0 picks a free one)."`
	RedisURL      string `name:"redis-url" env:"REDIS_URL" help:"Use this Redis (redis://, rediss:// or unix:// URL) instead of starting one."`
	RedisCAFile   string `name:"redis-ca-file" env:"REDIS_CA_FILE" help:"File (PEM) with the certificate authorities for a rediss:// URL, instead of the system's."`
	RedisPassword string `name:"redis-password" env:"REDIS_PASSWORD" help:"Password for the Redis of REDIS_URL, in place of that in the URL. Set it by the variable: a flag is visible in the process list."`
	Data          string `name:"data" env:"CELLBLOCK_DATA" default:"${data}" help:"Folder for the data of the Redis that this command starts and, unless FILES_URL is set, for output files of jobs; it is created if missing."`
	Workers       int    `name:"workers" env:"WORKERS" default:"1" help:"Number of worker processes (0 to 64); each runs several jobs at once."`
	MetricsAddr   string `name:"metrics-addr" env:"METRICS_ADDR" default:"127.0.0.1:9091" help:"Address of the first worker's metrics (host:port; empty: none); each further worker takes the next port."`
}

// maxWorkers is more than one machine can use.
const maxWorkers = 64

// Validate is called by kong.
func (c *upCommand) Validate() error {
	if c.Workers < 0 || c.Workers > maxWorkers {
		return fmt.Errorf("--workers is %d; 0 to %d is possible", c.Workers, maxWorkers)
	}
	return nil
}

// Run starts everything, waits for a signal or a permanent failure, and stops everything. After a signal it returns
// nil.
func (c *upCommand) Run() error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the other programs: %w", err)
	}
	ctx, stop := withSignal()
	defer stop()
	if err := c.choosePorts(ctx); err != nil {
		return err
	}
	s := newStack(c, filepath.Dir(executable), os.Stdout)
	err = s.start(ctx)
	if err == nil {
		s.enableRestarts()
		s.printReady()
		select {
		case <-ctx.Done():
			s.output.Printf("stopping; waiting for running jobs (Ctrl-C again stops at once)")
		case err = <-s.group.Failed():
		}
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // stopped by the user during the start
	}
	if err != nil {
		s.output.Printf("stopping the other processes: %v", err)
	}
	second, stopSecond := withSignal()
	defer stopSecond()
	return errors.Join(err, s.stop(second))
}

// workerName returns the name in front of the log lines of worker i, counted from 0.
func (c *upCommand) workerName(i int) string {
	if c.Workers <= 1 {
		return "worker"
	}
	return fmt.Sprintf("worker-%d", i+1)
}

// withSignal returns a context that is done at the next SIGINT, SIGTERM or SIGHUP (the terminal was closed).
func withSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// defaultData returns the default folder for jobs: a system folder for root, a folder in the home directory for other
// users.
func defaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/cellblock"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return filepath.Join(os.TempDir(), fmt.Sprintf("cellblock-%d", os.Geteuid()))
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "cellblock")
}

// apiSecrets are passed on to the API only.
var apiSecrets = []string{"API_TOKEN", "CALLBACK_SECRET"}

// childEnvironment returns our environment with some variables set, and without the API's secrets, which other
// processes do not need.
func childEnvironment(set ...string) []string {
	names := map[string]bool{}
	for _, name := range apiSecrets {
		names[name] = true
	}
	for _, pair := range set {
		name, _, _ := strings.Cut(pair, "=")
		names[name] = true
	}
	var env []string
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); !names[name] {
			env = append(env, pair)
		}
	}
	return append(env, set...)
}
