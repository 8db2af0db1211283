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

// upCommand is `cellblock up`. Every other setting of the API and the worker is
// passed on to them as it is in the environment.
type upCommand struct {
	APIAddr     string `name:"api-addr" env:"API_ADDR" default:"127.0.0.1:8080" help:"Address to serve on (host:port; port 0 takes a free one)."`
	RedisURL    string `name:"redis-url" env:"REDIS_URL" help:"Use this Redis (redis://, rediss:// or unix:// URL) instead of starting one."`
	RedisCAFile string `name:"redis-ca-file" env:"REDIS_CA_FILE" help:"File (PEM) with the certificate authorities for a rediss:// URL, instead of the system's."`
	Data        string `name:"data" env:"CELLBLOCK_DATA" default:"${data}" help:"Folder in which the own Redis keeps jobs and results, and, unless FILES_URL says otherwise, files that jobs left; made if missing."`
	Workers     int    `name:"workers" env:"WORKERS" default:"1" help:"Worker processes to start (0 to 64); each runs several jobs at once."`
	MetricsAddr string `name:"metrics-addr" env:"METRICS_ADDR" default:"127.0.0.1:9091" help:"Address of the first worker's metrics (host:port; empty: none); each further worker takes the next port."`
}

// maxWorkers is more than one machine has a use for.
const maxWorkers = 64

// Validate is called by kong.
func (c *upCommand) Validate() error {
	if c.Workers < 0 || c.Workers > maxWorkers {
		return fmt.Errorf("--workers is %d; 0 to %d is possible", c.Workers, maxWorkers)
	}
	return nil
}

// Run brings everything up, waits for Ctrl-C or for something to fail for good, and
// takes everything down again. Asked to end, it returns nil.
func (c *upCommand) Run() error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the other programs: %w", err)
	}
	asked, forget := notify()
	defer forget()
	if err := c.choosePorts(asked); err != nil {
		return err
	}
	s := newStack(c, filepath.Dir(executable), os.Stdout)
	err = s.start(asked)
	if err == nil {
		s.keepUp()
		s.announce()
		select {
		case <-asked.Done():
			s.output.Say("stopping; running jobs may end first (Ctrl-C again stops at once)")
		case err = <-s.group.Failed():
		}
	}
	if asked.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // asked to end while starting
	}
	if err != nil {
		s.output.Say("stopping the rest: %v", err)
	}
	again, forgetAgain := notify()
	defer forgetAgain()
	return errors.Join(err, s.stop(again))
}

// workerName is the name of worker i, counted from 0, beside its lines.
func (c *upCommand) workerName(i int) string {
	if c.Workers <= 1 {
		return "worker"
	}
	return fmt.Sprintf("worker-%d", i+1)
}

// notify gives a context that is done at the next signal to end. SIGHUP is one:
// the terminal was closed.
func notify() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// defaultData is where the jobs are kept unless told otherwise: the system's
// place for root, the user's own for others.
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

// apiSecrets are passed on to the API alone.
var apiSecrets = []string{"API_TOKEN", "CALLBACK_SECRET"}

// environment is ours with some variables set, and without the API's secrets,
// which nobody but the API has a use for.
func environment(set ...string) []string {
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
