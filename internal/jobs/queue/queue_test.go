package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// startConsumer starts a consumer with its own client, as in a worker.
func startConsumer(t *testing.T, url string, concurrency int, handle Handler) *Consumer {
	t.Helper()
	client := redistest.Client(t, url)
	c := NewConsumer(client, ConsumerSettings{Concurrency: concurrency, ShutdownTimeout: 10 * time.Second}, handle,
		slog.New(slog.DiscardHandler))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() }) // a second time does nothing
	return c
}

func enqueue(t *testing.T, p *Producer, id string) {
	t.Helper()
	route := jobs.Route{Priority: jobs.PriorityDefault}
	if err := p.Enqueue(context.WithoutCancel(t.Context()), id, route); err != nil {
		t.Error(err)
	}
}

// waitFor polls Redis for a fact of which there is no notification.
func waitFor(t *testing.T, what string, bound time.Duration, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !fact(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", bound, what)
		}
	}
}

// waitForIdleConsumers waits until n consumers wait in Redis.
func waitForIdleConsumers(t *testing.T, client redis.UniversalClient, n int) {
	t.Helper()
	blocked := regexp.MustCompile(`(?m) cmd=blpop `)
	waitFor(t, fmt.Sprintf("%d consumers wait", n), 10*time.Second, func() bool {
		list, err := client.ClientList(t.Context()).Result()
		return err == nil && len(blocked.FindAllString(list, -1)) == n
	})
}

func keyCount(t *testing.T, client redis.UniversalClient, kind string) int {
	t.Helper()
	key := "asynq:{default}:" + kind
	var n int64
	var err error
	if kind == "pending" || kind == "active" {
		n, err = client.LLen(t.Context(), key).Result()
	} else {
		n, err = client.ZCard(t.Context(), key).Result()
	}
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// countWaiting counts the jobs in asynq's lists of pending tasks and in flows.
func countWaiting(t *testing.T, client redis.UniversalClient) int {
	t.Helper()
	n := 0
	for _, pattern := range []string{"asynq:*:pending", "cellblock:{flows}:*:*:*"} {
		keys, err := client.Keys(t.Context(), pattern).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			n += int(client.LLen(t.Context(), key).Val())
		}
	}
	return n
}

func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	const consumers, producers, each = 20, 10, 50
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	handled := make(chan string, consumers)
	for range consumers {
		startConsumer(t, url, 2, func(_ context.Context, d Delivery) error {
			handled <- d.ID
			return nil
		})
	}
	waitForIdleConsumers(t, client, consumers)
	var enqueuing sync.WaitGroup
	for range producers {
		enqueuing.Go(func() {
			for range each {
				enqueue(t, producer, jobs.NewID())
			}
		})
	}
	start := time.Now()
	seen := map[string]int{}
	for len(seen) < producers*each {
		select {
		case id := <-handled:
			seen[id]++
		case <-time.After(15 * time.Second):
			t.Fatalf("%d of %d jobs arrived", len(seen), producers*each)
		}
	}
	t.Logf("%d jobs in %s", len(seen), time.Since(start))
	enqueuing.Wait()
	waitFor(t, "the queue is empty", 10*time.Second, func() bool {
		return countWaiting(t, client) == 0 && keyCount(t, client, "active") == 0
	})
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %s arrived %d times", id, n)
		}
	}
	for _, kind := range []string{"retry", "archived", "completed"} {
		if n := keyCount(t, client, kind); n != 0 {
			t.Errorf("%d tasks are %s", n, kind)
		}
	}
}

func TestStopIsPromptWhileWaiting(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	c := startConsumer(t, url, 1, func(context.Context, Delivery) error { return nil })
	waitForIdleConsumers(t, client, 1)
	start := time.Now()
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
	if n := client.LLen(t.Context(), flows.WakeList(jobs.DefaultEnvironment)).Val(); n != 1 {
		t.Errorf("%d tokens were left for others, want 1", n)
	}
}

func TestStopWaitsForHandlers(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	started, finish := make(chan struct{}), make(chan struct{})
	c := startConsumer(t, url, 1, func(context.Context, Delivery) error {
		close(started)
		<-finish
		return nil
	})
	enqueue(t, NewProducer(redistest.Client(t, url)), jobs.NewID())
	<-started
	stopped := make(chan error)
	go func() { stopped <- c.Stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the handler ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStopReportsUnfinishedDeliveries(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	started, finish, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c := NewConsumer(client, ConsumerSettings{Concurrency: 1, ShutdownTimeout: 100 * time.Millisecond},
		func(context.Context, Delivery) error {
			close(started)
			<-finish
			close(ended)
			return nil
		}, slog.New(slog.DiscardHandler))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	enqueue(t, NewProducer(client), jobs.NewID())
	<-started
	if err := c.Stop(); err == nil {
		t.Error("no error")
	}
	if n := keyCount(t, client, "pending"); n != 1 {
		t.Errorf("%d tasks wait for another worker, want 1", n)
	}
	close(finish)
	<-ended
}

func TestEnqueueTwiceIsOneDelivery(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	producer := NewProducer(client)
	id := jobs.NewID()
	enqueue(t, producer, id)
	enqueue(t, producer, id)
	if n := countWaiting(t, client); n != 1 {
		t.Errorf("%d jobs wait", n)
	}
}

// A failed delivery is repeated soon, and only failures count as attempts.
func TestFailedDeliveriesAreRepeated(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	attempts := make(chan int, 3)
	answers := []error{ErrHeld, errors.New("failed"), nil}
	handled := 0
	startConsumer(t, url, 1, func(_ context.Context, d Delivery) error {
		attempts <- d.Attempt
		handled++
		return answers[handled-1]
	})
	enqueue(t, NewProducer(redistest.Client(t, url)), jobs.NewID())
	for i, want := range []int{0, 0, 1} {
		before := time.Now()
		select {
		case got := <-attempts:
			if got != want {
				t.Errorf("delivery %d says %d attempts, want %d", i, got, want)
			}
			if took := time.Since(before); took > wakePoll-time.Second {
				t.Errorf("delivery %d came after %s: nobody was woken for it", i, took)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("delivery %d did not come", i)
		}
	}
}

// A job that no consumer takes is delivered only every few seconds, however many consumers there are, and that is not
// a failure.
func TestAJobLeftToAnotherConsumerIsDeliveredAfterAPause(t *testing.T) {
	t.Parallel()
	const consumers, length = 10, 5 * time.Second
	url := redistest.Start(t)
	var deliveries, failures atomic.Int64
	for range consumers {
		startConsumer(t, url, 1, func(_ context.Context, d Delivery) error {
			deliveries.Add(1)
			failures.Add(int64(d.Attempt))
			return ErrElsewhere
		})
	}
	client := redistest.Client(t, url)
	waitForIdleConsumers(t, client, consumers)
	enqueue(t, NewProducer(client), jobs.NewID())
	time.Sleep(length)
	// asynq counts whole seconds.
	if n, most := deliveries.Load(), 1+int64(length/(elsewherePause-time.Second)); n < 2 || n > most {
		t.Errorf("delivered %d times in %s, want 2 to %d", n, length, most)
	}
	if n := failures.Load(); n != 0 {
		t.Errorf("%d attempts count as failed", n)
	}
}
