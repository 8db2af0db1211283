package queue

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"cellblock/internal/redisparts"
	"cellblock/internal/redistest"
)

// startConsumers starts consumers on four parts, as in a worker.
func startConsumers(t *testing.T, url string, concurrency int, handle Handler) *Consumers {
	t.Helper()
	c := NewConsumers(redisparts.New(redistest.Client(t, url), 4),
		ConsumerSettings{Concurrency: concurrency, ShutdownTimeout: 10 * time.Second}, handle,
		slog.New(slog.DiscardHandler))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

// Each job of all parts is delivered once, and no more at once than the worker has slots.
func TestConsumersShareTheirSlots(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	parts := redisparts.New(redistest.Client(t, url), 4)
	producer := NewProducerOf(parts)
	const n, slots = 200, 3
	var mu sync.Mutex
	var running atomic.Int64
	most := int64(0)
	seen, all := map[string]int{}, make(chan struct{})
	for range n {
		enqueue(t, producer, uuid.NewString())
	}
	startConsumers(t, url, slots, func(_ context.Context, d Delivery) error {
		now := running.Add(1)
		defer running.Add(-1)
		time.Sleep(time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		most = max(most, now)
		if seen[d.ID]++; len(seen) == n {
			close(all)
		}
		return nil
	})
	select {
	case <-all:
	case <-time.After(60 * time.Second):
		t.Fatalf("%d of %d jobs were delivered", len(seen), n)
	}
	mu.Lock()
	defer mu.Unlock()
	if most > slots {
		t.Errorf("%d jobs ran at once, with %d slots", most, slots)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was delivered %d times", id, times)
		}
	}
	waitFor(t, "no job is taken any more", 10*time.Second, func() bool {
		backlog, err := producer.Backlog(t.Context(), nil, nil, false, "local function waiting_since() end")
		return err == nil && backlog.Taken == 0
	})
}

// The consumers of a worker whose slots are all taken pass tokens on to a worker that is idle.
func TestAFullWorkerPassesTokensOn(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	parts := redisparts.New(client, 4)
	producer := NewProducerOf(parts)
	release, took, got := make(chan struct{}), make(chan struct{}, 1), make(chan string, 100)
	full := startConsumers(t, url, 1, func(context.Context, Delivery) error {
		took <- struct{}{}
		<-release
		return nil
	})
	defer func() { close(release); _ = full.Stop() }()
	waitForIdleConsumers(t, client, 4)
	enqueue(t, producer, uuid.NewString())
	<-took
	startConsumers(t, url, 1, func(_ context.Context, d Delivery) error {
		got <- d.ID
		return nil
	})
	// Of the full worker three consumers still wait, before those of the idle one.
	waitForIdleConsumers(t, client, 7)
	for i := range 4 {
		id := idOfPart(parts, i)
		enqueued := time.Now()
		enqueue(t, producer, id)
		select {
		case delivered := <-got:
			if waited := time.Since(enqueued); delivered != id || waited > wakePoll/2 {
				t.Errorf("part %d: %s after %s", i, delivered, waited)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("part %d: not delivered", i)
		}
	}
}

func idOfPart(parts redisparts.Parts, i int) string {
	for n := 0; ; n++ {
		if id := "job-" + strconv.Itoa(n); parts.Index(id) == i {
			return id
		}
	}
}
