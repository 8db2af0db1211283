package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock"
	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

const (
	// warmup is the load before the first measurement: by its end every kind of job has run, and
	// one-time growth is over.
	warmup = 15 * time.Second
	// resultTTL is how long records are kept; it is longer than any client is away from its job.
	resultTTL = 20 * time.Second
	// workers is how many there are at any time; the first is the permanent one.
	workers = 3
)

// fixture is the service under test.
type fixture struct {
	*stack.Stack
	programs  stack.Programs
	dir, runs string
	worker    stack.Env
	// around are the control groups that everything was started in.
	around []string
	// permanentURL is where the permanent worker serves its metrics.
	permanentURL string
	// webhooks receives the jobs' webhooks.
	webhooks *receiver
	client   redis.UniversalClient
}

// startFixture builds the programs and starts the service. Its workers have a separate run folder, so that
// no other worker's control groups are counted.
func startFixture(ctx context.Context) (_ *fixture, err error) {
	dir, err := os.MkdirTemp("", "cellblock-soak-")
	if err != nil {
		return nil, err
	}
	b := &fixture{dir: dir, runs: filepath.Join(dir, "runs"), around: stack.CgroupDirs(os.Getpid())}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.programs, err = stack.Build(ctx, dir); err != nil {
		return nil, err
	}
	config, err := b.writeFiles()
	if err != nil {
		return nil, err
	}
	if b.webhooks, err = startReceiver(); err != nil {
		return nil, err
	}
	ttl := resultTTL.String()
	b.worker = stack.Env{
		"NSJAIL_CONFIG": config, "RUN_DIR": b.runDir(), "UID_BASE": "30000000", "LOG_FORMAT": "json",
		"WORKER_CONCURRENCY": "2", "METRICS_ADDR": "127.0.0.1:0",
		// The shortest wall limit possible, and others that are soon exceeded. Zygotes are replaced
		// often, and a file may hold every job's line.
		"LIMIT_WALL": "100ms", "LIMIT_MEMORY_MB": "64", "LIMIT_OUTPUT_KB": "128", "LIMIT_RESULT_KB": "128",
		"ZYGOTE_JOBS": "300", "LIMIT_FILE_MB": "1024",
	}
	s, err := stack.Start(ctx, stack.Config{
		Programs: b.programs, API: stack.Env{
			"LOG_FORMAT": "json", "RESULT_TTL": ttl, "SYNC_RESULT_TTL": ttl,
			"CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": "127.0.0.1/32", "CALLBACK_TIMEOUT": "1s",
			"CALLBACK_PAUSE": "100ms", "CALLBACK_ATTEMPTS": "4",
		},
		Workers: slices.Repeat([]stack.Env{b.worker}, workers),
	})
	if err != nil {
		return nil, err
	}
	b.Stack = s
	b.permanentURL = "http://" + b.permanentWorker().Logged("serving metrics", "addr", nil)
	b.client, err = redisconn.Settings{URL: s.RedisURL}.Open()
	return b, err
}

func (b *fixture) runDir() string { return filepath.Join(b.dir, "run") }

// writeFiles creates the file that every job writes to and the nsjail.cfg that mounts it, and
// returns the path of the latter.
func (b *fixture) writeFiles() (config string, err error) {
	config = filepath.Join(b.dir, "nsjail.cfg")
	text := cellblock.NsjailConfig + "\nmount { src: \"" + b.runs + "\" dst: \"/runs\" is_bind: true rw: true }\n"
	return config, errors.Join(
		os.Chmod(b.dir, 0o755), // the sandbox's user must be able to reach it
		os.Mkdir(b.runDir(), 0o755),
		os.WriteFile(b.runs, nil, 0o600), os.Chmod(b.runs, 0o666),
		os.WriteFile(config, []byte(text), 0o600),
	)
}

// permanentWorker returns the worker that is never killed.
func (b *fixture) permanentWorker() *stack.Process { return b.Workers()[0] }

// alive returns the workers that have not exited.
func (b *fixture) alive() []*stack.Process {
	var alive []*stack.Process
	for _, p := range b.Workers() {
		select {
		case <-p.Done():
		default:
			alive = append(alive, p)
		}
	}
	return alive
}

// startWorker adds a worker and waits until it takes jobs.
func (b *fixture) startWorker(ctx context.Context) error {
	p, err := b.LaunchWorker(b.programs.Worker, b.worker)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for p.Logged("worker started", "worker", nil) == "" {
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended: %s", p.Name, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s does not start: %w\n%s", p.Name, ctx.Err(), p.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// runCounts counts how often each job wrote its line.
func (b *fixture) runCounts() (map[int]int, error) {
	content, err := os.ReadFile(b.runs)
	if err != nil {
		return nil, err
	}
	ran := map[int]int{}
	for line := range bytes.Lines(content) {
		n, err := strconv.Atoi(strings.TrimSpace(string(line)))
		if err != nil {
			return nil, fmt.Errorf("the jobs' file has the line %q", line)
		}
		ran[n]++
	}
	return ran, nil
}

// stopAll asks all live processes to exit, and returns what remains afterwards.
func (b *fixture) stopAll() ([]row, error) {
	var errs []error
	for _, p := range append(b.alive(), b.API, b.Redis) {
		if err := p.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("%w; it wrote:\n%.5000s", err, p.Log()))
		}
	}
	survivors := stack.Survivors(10 * time.Second)
	for _, s := range survivors {
		fmt.Println("left:", s)
	}
	groups := b.cgroups()
	for _, dir := range groups {
		fmt.Println("left:", dir)
	}
	return []row{
		{What: "processes after the stop", End: float64(len(survivors)), Grew: len(survivors) > 0},
		{What: "control groups after the stop", End: float64(len(groups)), Grew: len(groups) > 0},
	}, errors.Join(errs...)
}

// close kills the remaining processes and removes the files.
func (b *fixture) close() error {
	if b.client != nil {
		_ = b.client.Close()
	}
	if b.webhooks != nil {
		_ = b.webhooks.stop()
	}
	if b.Stack != nil {
		for _, p := range append(b.Workers(), b.API, b.Redis) {
			p.Kill()
		}
		_ = b.Stop() // reports the processes that we killed
		stack.Survivors(5 * time.Second)
		// Killed workers leave their groups for the next worker with the same number.
		groups := b.cgroups()
		slices.Reverse(groups) // a worker's own group after those in it
		for _, dir := range groups {
			_ = os.Remove(dir)
		}
	}
	return os.RemoveAll(b.dir)
}
