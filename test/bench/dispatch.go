package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

const (
	// settlePause is the time for the consumer to wait again, so that each job finds it idle.
	settlePause = 15 * time.Millisecond
	// dispatchTimeout is far above the time that a job may wait for an idle consumer.
	dispatchTimeout = 30 * time.Second
)

// dispatch is how long a job waits for an idle worker.
type dispatch struct {
	summary
}

// measureDispatch puts jobs into a real queue one by one and measures the time until the handler starts. Both ends are
// in this program, on one clock.
func measureDispatch(ctx context.Context, o options) (_ *dispatch, err error) {
	s, err := stack.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	client, err := redisconn.Settings{URL: s.RedisURL}.Open()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	started := make(chan time.Time, 1)
	consumer := queue.NewConsumer(client, queue.ConsumerSettings{Concurrency: 1, ShutdownTimeout: time.Second},
		func(context.Context, queue.Delivery) error {
			started <- time.Now()
			return nil
		}, slog.New(slog.DiscardHandler))
	if err := consumer.Start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, consumer.Stop()) }()
	times, err := dispatchTimes(ctx, queue.NewProducer(client), started, o.jobs)
	if err != nil {
		return nil, err
	}
	return &dispatch{summarize(times)}, nil
}

// dispatchTimes leaves out the first job, which opens the connections.
func dispatchTimes(ctx context.Context, producer *queue.Producer, started <-chan time.Time,
	count int,
) ([]time.Duration, error) {
	times := make([]time.Duration, 0, count)
	for n := range count + 1 {
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		enqueued := time.Now()
		if err := producer.Enqueue(ctx, jobs.NewID(), jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
			return nil, err
		}
		select {
		case at := <-started:
			if n > 0 {
				times = append(times, at.Sub(enqueued))
			}
		case <-time.After(dispatchTimeout):
			return nil, errors.New("a job was not taken up")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return times, nil
}
