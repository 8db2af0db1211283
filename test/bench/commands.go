package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

// commands is the number of Redis commands, including those inside scripts.
type commands struct {
	Workers int `json:"workers"`
	Jobs    int `json:"jobs"`
	// PerJob excludes the commands that an idle service runs in the same time.
	PerJob float64 `json:"per_job"`
	// IdlePerSecond is for all workers and the API together.
	IdlePerSecond float64 `json:"idle_per_second"`
	// ByName has the commands per job, and IdleByName those per idle second, by command name. Rare ones are left out.
	ByName     map[string]float64 `json:"by_name"`
	IdleByName map[string]float64 `json:"idle_by_name"`
	// Backlog is PerJob of asynchronous jobs of one tenant on one worker, nearly all of which wait behind others, and
	// BacklogByName has them by command name.
	Backlog       float64            `json:"backlog_per_job"`
	BacklogByName map[string]float64 `json:"backlog_by_name"`
}

// measureCommands counts the commands of synchronous jobs while all workers but one are idle.
func measureCommands(ctx context.Context, o options, programs stack.Programs) (_ *commands, err error) {
	config := stack.Config{Programs: programs}
	for range o.workers {
		config.Workers = append(config.Workers, stack.Env{"WORKER_CONCURRENCY": "1"})
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	client, err := redisconn.Settings{URL: s.RedisURL}.Open()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	count := min(o.jobs, 100)
	service := newService(s.URL, "def main():\n    return 1\n")
	for range min(o.workers, count) { // every worker has run one: its connections and scripts exist
		if _, err := service.call(ctx); err != nil {
			return nil, err
		}
	}
	idle, err := countFor(ctx, client, func() error { return idleFor(ctx, o.idle) })
	if err != nil {
		return nil, err
	}
	busy, err := countFor(ctx, client, func() error {
		for range count {
			if _, err := service.call(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	result := summarizeCommands(o.workers, count, idle, busy)
	return result, result.measureBacklog(ctx, o, programs)
}

// measureBacklog counts the commands of jobs that wait.
func (c *commands) measureBacklog(ctx context.Context, o options, programs stack.Programs) (err error) {
	s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{{"WORKER_CONCURRENCY": "1"}}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	client, err := redisconn.Settings{URL: s.RedisURL}.Open()
	if err != nil {
		return err
	}
	defer client.Close()
	service := &http.Client{Timeout: time.Minute}
	defer service.CloseIdleConnections()
	checks := 0.0
	run := func(count int) error {
		for range count {
			if _, err := submit(ctx, service, s.URL, "def main():\n    return 1\n"); err != nil {
				return err
			}
		}
		for ; ; checks++ {
			open, err := client.ZCard(ctx, "cellblock:{index}:open").Result()
			if err != nil || open == 0 {
				return err
			}
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return err
			}
		}
	}
	if err := run(1); err != nil {
		return err
	}
	idle, err := countFor(ctx, client, func() error { return pause(ctx, o.idle) })
	if err != nil {
		return err
	}
	checks = 1
	busy, err := countFor(ctx, client, func() error { return run(o.jobs) })
	if err != nil {
		return err
	}
	busy.calls["zcard"] -= checks
	backlog := summarizeCommands(1, o.jobs, idle, busy)
	c.Backlog, c.BacklogByName = backlog.PerJob, backlog.ByName
	return nil
}

// commandCounts is the number of calls of each command during took.
type commandCounts struct {
	calls map[string]float64
	took  time.Duration
}

func countFor(ctx context.Context, client redis.UniversalClient, work func() error) (commandCounts, error) {
	before, err := commandCalls(ctx, client)
	if err != nil {
		return commandCounts{}, err
	}
	began := time.Now()
	if err := work(); err != nil {
		return commandCounts{}, err
	}
	took := time.Since(began)
	calls, err := commandCalls(ctx, client)
	for name, n := range before {
		calls[name] -= n
	}
	return commandCounts{calls, took}, err
}

func summarizeCommands(workers, jobs int, idle, busy commandCounts) *commands {
	c := &commands{Workers: workers, Jobs: jobs, ByName: map[string]float64{}, IdleByName: map[string]float64{}}
	for name, n := range busy.calls {
		idlePerSecond := idle.calls[name] / idle.took.Seconds()
		c.IdleByName[name] = rounded(idlePerSecond)
		c.IdlePerSecond += idlePerSecond
		perJob := (n - idlePerSecond*busy.took.Seconds()) / float64(jobs)
		c.ByName[name] = rounded(perJob)
		c.PerJob += perJob
	}
	c.PerJob, c.IdlePerSecond = rounded(c.PerJob), rounded(c.IdlePerSecond)
	rare := func(_ string, n float64) bool { return n < 0.1 }
	maps.DeleteFunc(c.ByName, rare)
	maps.DeleteFunc(c.IdleByName, rare)
	return c
}

// rounded rounds to two decimals; more would be noise.
func rounded(n float64) float64 { return math.Round(100*n) / 100 }

// commandCalls reads INFO commandstats, without INFO itself.
func commandCalls(ctx context.Context, client redis.UniversalClient) (map[string]float64, error) {
	info, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	return callsOf(info)
}

// callsOf returns the calls of each command in an answer of INFO, without INFO itself.
func callsOf(info string) (calls map[string]float64, err error) {
	calls = map[string]float64{}
	for line := range strings.Lines(info) {
		line, ok := strings.CutPrefix(line, "cmdstat_")
		name, fields, found := strings.Cut(line, ":calls=")
		if !ok || !found || name == "info" {
			continue
		}
		number, _, _ := strings.Cut(fields, ",")
		if calls[name], err = strconv.ParseFloat(number, 64); err != nil {
			return nil, fmt.Errorf("INFO commandstats: %w", err)
		}
	}
	return calls, nil
}
