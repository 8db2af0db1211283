package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

// fairCost is what a job costs Redis from its acceptance to its end, without a sandbox, while others wait.
type fairCost struct {
	// Waiting is the number of jobs that wait, of a number of tenants.
	Waiting int `json:"waiting"`
	Tenants int `json:"tenants"`
	// Commands include those inside scripts. Microseconds are Redis's own count of the time of all commands.
	Commands     float64 `json:"commands_per_job"`
	Microseconds float64 `json:"redis_us_per_job"`
}

// fairCostJobs is the number of jobs that are accepted and ended for one figure.
const fairCostJobs = 2000

func measureFairCosts(ctx context.Context) ([]fairCost, error) {
	var costs []fairCost
	for _, c := range []fairCost{
		{Waiting: 1000, Tenants: 1},
		{Waiting: 1000, Tenants: 10},
		{Waiting: 10_000, Tenants: 1000},
		{Waiting: 100_000, Tenants: 1},
		{Waiting: 100_000, Tenants: 1000},
	} {
		if err := c.measure(ctx); err != nil {
			return nil, err
		}
		costs = append(costs, c)
	}
	return costs, nil
}

// measure fills a queue, and then accepts as many jobs as are ended.
func (c *fairCost) measure(ctx context.Context) (err error) {
	s, err := stack.StartRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	client, err := redisconn.Settings{URL: s.RedisURL}.Open()
	if err != nil {
		return err
	}
	defer client.Close()
	q := &fairQueue{
		store:    store.New(client, store.Settings{ResultTTL: time.Minute, SyncResultTTL: time.Minute}),
		producer: queue.NewProducer(client), tenants: c.Tenants, ended: make(chan error, fairCostJobs),
	}
	if err := q.accept(ctx, c.Waiting); err != nil {
		return err
	}
	before, err := commandTimes(ctx, client)
	if err != nil {
		return err
	}
	if err := q.run(ctx, client, fairCostJobs); err != nil {
		return err
	}
	after, err := commandTimes(ctx, client)
	c.Commands = rounded((after.calls - before.calls) / fairCostJobs)
	c.Microseconds = rounded((after.microseconds - before.microseconds) / fairCostJobs)
	return err
}

// fairQueue is the queue of jobs without workers' processes.
type fairQueue struct {
	store    *store.Store
	producer *queue.Producer
	tenants  int
	ended    chan error
}

// accept accepts n jobs, of all tenants in turn.
func (q *fairQueue) accept(ctx context.Context, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for i := range n {
		group.Go(func() error {
			job := jobs.Job{ID: jobs.NewID(), Tenant: jobs.Operator, Script: "x", Async: true}
			if q.tenants > 1 {
				job.Tenant = jobs.Tenant(fmt.Sprintf("t%d", i%q.tenants))
			}
			task, err := q.producer.Task(ctx, job.ID, job.Route())
			if err == nil {
				_, err = q.store.Accept(ctx, job, store.Step(task), store.OpenLimits{})
			}
			return err
		})
	}
	return group.Wait()
}

// run accepts n jobs while a consumer takes and ends as many.
func (q *fairQueue) run(ctx context.Context, client redis.UniversalClient, n int) (err error) {
	lua, args := store.TakeStep("bench")
	room, stopping := make(chan struct{}, n), make(chan struct{})
	for range n {
		room <- struct{}{}
	}
	consumer := queue.NewConsumer(client, queue.ConsumerSettings{
		Concurrency: 2, FlowConcurrency: 2, ShutdownTimeout: time.Second, Step: queue.Step{Lua: lua, Args: args},
	}, func(_ context.Context, d queue.Delivery) error {
		select {
		case <-room:
		case <-stopping:
			return queue.ErrElsewhere
		}
		_, err := q.store.End(ctx, d.ID, jobs.Outcome{Result: []byte("1")})
		q.ended <- err
		return err
	}, slog.New(slog.DiscardHandler))
	if err := consumer.Start(); err != nil {
		return err
	}
	defer func() {
		close(stopping) // the handlers that wait for room return
		_ = consumer.Stop()
	}()
	if err := q.accept(ctx, n); err != nil {
		return err
	}
	for range n {
		select {
		case err = <-q.ended:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// redisTimes is how many commands Redis ran, and for how long.
type redisTimes struct{ calls, microseconds float64 }

// commandTimes reads INFO commandstats. The time of a script contains that of its commands.
func commandTimes(ctx context.Context, client redis.UniversalClient) (redisTimes, error) {
	info, err := client.InfoMap(ctx, "commandstats").Result()
	if err != nil {
		return redisTimes{}, err
	}
	var sum redisTimes
	for name, fields := range info["Commandstats"] {
		var calls, microseconds float64
		if _, err := fmt.Sscanf(fields, "calls=%f,usec=%f", &calls, &microseconds); err != nil {
			return sum, fmt.Errorf("INFO commandstats: %w", err)
		}
		if name == "cmdstat_info" {
			continue
		}
		sum.calls += calls
		if name == "cmdstat_evalsha" || name == "cmdstat_eval" {
			sum.microseconds += microseconds
		}
	}
	return sum, nil
}
