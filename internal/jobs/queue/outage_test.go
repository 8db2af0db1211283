package queue

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// A job that ends while Redis is away is removed from the queue once Redis is back: it is neither delivered again nor
// archived as failed.
func TestJobThatEndsDuringAnOutageIsNotRunTwice(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := redistest.Client(t, server.URL())
	var deliveries atomic.Int64
	started, finish := make(chan struct{}), make(chan struct{})
	startConsumer(t, server.URL(), 1, func(context.Context, Delivery) error {
		if deliveries.Add(1) == 1 {
			close(started)
			<-finish
		}
		return nil
	})
	enqueue(t, NewProducer(client), jobs.NewID())
	<-started
	server.Kill()
	close(finish)
	// asynq's first attempt to remove the task fails against the stopped server; the next may succeed as soon as there
	// is one.
	time.Sleep(500 * time.Millisecond)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the task is taken out", 12*time.Second, func() bool { return keyCount(t, client, "active") == 0 })
	for _, kind := range []string{"pending", "retry", "archived"} {
		if n := keyCount(t, client, kind); n != 0 {
			t.Errorf("%d tasks are %s", n, kind)
		}
	}
	// The consumer still takes jobs.
	enqueue(t, NewProducer(client), jobs.NewID())
	waitFor(t, "the next job is delivered", 10*time.Second, func() bool { return deliveries.Load() == 2 })
}

func TestConsumerStartsAndStopsWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	server.Kill()
	handled := make(chan struct{}, 1)
	c := startConsumer(t, server.URL(), 1, func(context.Context, Delivery) error {
		handled <- struct{}{}
		return nil
	})
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	enqueue(t, NewProducer(redistest.Client(t, server.URL())), jobs.NewID())
	select {
	case <-handled:
	case <-time.After(10 * time.Second):
		t.Fatal("not delivered")
	}
	server.Kill()
	start := time.Now()
	_ = c.Stop()
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("Stop took %s", took)
	}
}

func TestStopEndsWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := redistest.Client(t, server.URL())
	// With the default timeouts Stop takes 26 s, most of it in asynq's shutdown.
	c := startConsumer(t, server.URL()+"?read_timeout=200ms&db=0",
		1, func(context.Context, Delivery) error { return nil })
	waitForIdleConsumers(t, client, 1)
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_ = c.Stop()
	t.Logf("Stop took %s", time.Since(start))
	if took := time.Since(start); took > wakePoll+wakeSlack+5*time.Second {
		t.Errorf("took %s", took)
	}
}

// The token that ends the wait for work is refused: Redis has no memory left. So the wait ends by itself.
func TestStopEndsWhileRedisIsFull(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	c := startConsumer(t, url, 1, func(context.Context, Delivery) error { return nil })
	waitForIdleConsumers(t, client, 1)
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.LPush(t.Context(), "list", "").Err(); err == nil {
		t.Fatal("Redis still accepts writes")
	}
	start := time.Now()
	_ = c.Stop()
	if took := time.Since(start); took > wakePoll+wakeSlack+5*time.Second {
		t.Errorf("Stop took %s", took)
	}
}

// A consumer without work waits for it though Redis refuses its script.
func TestAnIdleConsumerWaitsWhileRedisIsFull(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	started, hold := make(chan string, 2), make(chan struct{})
	c := startConsumer(t, url, 1, func(_ context.Context, d Delivery) error {
		started <- d.ID
		<-hold
		return nil
	})
	waitFor(t, "the consumer does not look for what is rare", 2*wakePoll, c.client.upkeep.isQuiet)
	producer := NewProducer(client)
	ids := []string{jobs.NewID(), jobs.NewID()}
	enqueue(t, producer, ids[0])
	want(t, started, ids[0], wakePoll/2)
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	close(hold)
	waitForIdleConsumers(t, client, 1)
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	enqueue(t, producer, ids[1])
	want(t, started, ids[1], wakePoll/2)
}
