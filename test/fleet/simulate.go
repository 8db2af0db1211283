package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
	"cellblock/internal/worker"
)

const (
	// simulateCommand is the first argument of the processes that hold workers. They write a line of JSON, an ended,
	// for each line that they read, and exit after the last one.
	simulateCommand = "simulate"
	// startSpread is the time over which the workers of a process start, as those of a fleet do: longer than the
	// interval of an idle worker's heartbeats.
	startSpread = 3 * time.Second
	// sleepMark precedes the time for which a script runs.
	sleepMark = "# sleep "
)

// ended is what a process reports of the jobs that have ended since its last report.
type ended struct {
	// QueuedMS are the times from acceptance to start of those that succeeded, and Others the number of all others.
	QueuedMS []float64 `json:"queued_ms"`
	Others   int       `json:"others"`
}

// simulate runs workers until standard input ends.
func simulate(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(simulateCommand, flag.ContinueOnError)
	url := flags.String("redis", "", "URL of Redis")
	workers := flags.Int("workers", 1, "number of workers")
	slots := flags.Int("slots", 1, "slots of each")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	crew := &recorder{}
	group, ctx := errgroup.WithContext(ctx)
	for i := range *workers {
		group.Go(func() error {
			_ = sleep(ctx, startSpread*time.Duration(i)/time.Duration(*workers))
			return runWorker(ctx, *url, *slots, crew) // at once after a stop: it ends at once
		})
	}
	err := crew.answer(os.Stdin, os.Stdout)
	stop()
	if workersErr := group.Wait(); workersErr != nil {
		return workersErr
	}
	return err
}

// runWorker runs one worker with a Redis client of its own until ctx is done.
func runWorker(ctx context.Context, url string, slots int, crew *recorder) error {
	client, err := redisconn.Settings{URL: url}.Open()
	if err != nil {
		return err
	}
	defer client.Close()
	limits := jobs.DefaultLimits()
	return worker.New(worker.Config{
		Settings: worker.Settings{
			Concurrency: slots, EndPatience: time.Minute, DrainTimeout: limits.Wall + 10*time.Second,
		},
		Version: "fleet", Wall: limits.Wall, MaxLimits: limits.Requestable(),
		Client: client, Files: noFiles{}, Environments: oneEnvironment{slots},
		Store: store.New(client, store.DefaultSettings()).WithWebhooks(queue.NewProducer(client)),
		Acquire: func(context.Context, string, string) (worker.Sandbox, error) {
			return &idleSandbox{}, nil
		},
		Metrics: crew, Logger: slog.New(slog.DiscardHandler),
	}).Run(ctx)
}

// idleSandbox does nothing for the time that the script names.
type idleSandbox struct{}

// Run implements worker.Sandbox.
func (idleSandbox) Run(ctx context.Context, script string, _ jobs.Entry, _ *jobs.Inputs) jobs.Outcome {
	began := time.Now()
	_, text, _ := strings.Cut(script, sleepMark)
	length, err := time.ParseDuration(strings.TrimSpace(text))
	outcome := jobs.Outcome{Result: jsontext.Value("1")}
	switch {
	case err != nil:
		outcome = jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeInternal, Message: err.Error()}}
	case sleep(ctx, length) != nil:
		outcome = jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeCancelled}}
	}
	outcome.Usage.RunMS = jobs.Milliseconds(time.Since(began))
	return outcome
}

// Follow implements worker.Sandbox.
func (idleSandbox) Follow(ctx context.Context, _ func([]jobs.OutputChunk)) { <-ctx.Done() }

// Started implements worker.Sandbox.
func (idleSandbox) Started() bool { return true }

// Discard implements worker.Sandbox.
func (idleSandbox) Discard() {}

// noFiles is the store of files of jobs that leave none.
type noFiles struct{}

// Put implements worker.Files.
func (noFiles) Put(context.Context, string, []jobs.OutputFile, time.Duration) error { return nil }

// oneEnvironment is the default environment, with a number of ready sandboxes.
type oneEnvironment struct{ ready int }

// List implements worker.Environments.
func (oneEnvironment) List() ([]jobs.Environment, <-chan struct{}) {
	return []jobs.Environment{{
		Name: jobs.DefaultEnvironment, Hash: strings.Repeat("0123456789abcdef", 4), Python: "3.11.2",
		Packages: []jobs.Package{{Name: "numpy", Version: "2.4.0"}, {Name: "pandas", Version: "3.1.0"}},
	}}, nil
}

// Ready implements worker.Environments.
func (e oneEnvironment) Ready() map[string]int {
	return map[string]int{jobs.DefaultEnvironment: e.ready}
}

// recorder is the worker.Metrics of all workers of a process.
type recorder struct {
	mu   sync.Mutex
	last ended
}

// JobStarted implements worker.Metrics.
func (*recorder) JobStarted() {}

// SetRedisUp implements worker.Metrics. It does nothing.
func (*recorder) SetRedisUp(bool) {}

// JobEnded implements worker.Metrics.
func (r *recorder) JobEnded(outcome jobs.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if outcome.Failure != nil {
		r.last.Others++
		return
	}
	r.last.QueuedMS = append(r.last.QueuedMS, outcome.Usage.QueuedMS)
}

// answer writes what has ended for each line that it reads.
func (r *recorder) answer(in io.Reader, out io.Writer) error {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		r.mu.Lock()
		last := r.last
		last.QueuedMS = slices.Clone(last.QueuedMS)
		r.last = ended{}
		r.mu.Unlock()
		encoded, err := json.Marshal(last)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", encoded); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
