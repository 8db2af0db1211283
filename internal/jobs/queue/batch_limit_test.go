package queue

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// Jobs of batches leave one place free, however many there are and however long they take, and use all other places.
func TestBatchesLeaveAPlaceForOthers(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	producer := NewProducer(redistest.Client(t, url))
	const members = 40
	for range members {
		if err := producer.Enqueue(t.Context(), jobs.NewID(), jobs.Route{Priority: jobs.PriorityBatch}); err != nil {
			t.Fatal(err)
		}
	}
	single := jobs.NewID()
	var atWork, most, done atomic.Int64
	arrived, finished := make(chan struct{}, 1), make(chan struct{})
	hold := make(chan struct{})
	consumer := NewConsumer(redistest.Client(t, url),
		ConsumerSettings{Concurrency: 3, BatchConcurrency: 2, ShutdownTimeout: 10 * time.Second},
		func(_ context.Context, d Delivery) error {
			if d.ID == single {
				arrived <- struct{}{}
				return nil
			}
			n := atWork.Add(1)
			defer atWork.Add(-1)
			for old := most.Load(); n > old; old = most.Load() {
				if most.CompareAndSwap(old, n) {
					break
				}
			}
			<-hold
			if done.Add(1) == members {
				close(finished)
			}
			return nil
		}, slog.New(slog.DiscardHandler))
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := consumer.Stop(); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(5 * time.Second); atWork.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d are at work", atWork.Load())
		}
	}
	if err := producer.Enqueue(t.Context(), single, jobs.Route{Priority: jobs.PriorityLow}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-arrived:
	case <-time.After(2 * time.Second):
		t.Fatal("a single job waits behind a batch")
	}
	begun := time.Now()
	close(hold)
	select {
	case <-finished:
	case <-time.After(20 * time.Second):
		t.Fatalf("only %d are done", done.Load())
	}
	// The end of each job makes the consumer poll; without that it polls every 5 s.
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("the batch took %s", took)
	}
	if n := most.Load(); n != 2 {
		t.Errorf("%d were at work at once", n)
	}
}

// A consumer at its limit leaves the tokens of batches to consumers that have room.
func TestAFullBatchLimiterLeavesTokens(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	begun, hold := make(chan time.Time, 2), make(chan struct{})
	free := sync.OnceFunc(func() { close(hold) })
	for range 2 {
		consumer := NewConsumer(redistest.Client(t, url),
			ConsumerSettings{Concurrency: 2, BatchConcurrency: 1, ShutdownTimeout: 10 * time.Second},
			func(context.Context, Delivery) error {
				begun <- time.Now()
				<-hold
				return nil
			}, slog.New(slog.DiscardHandler))
		if err := consumer.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			free()
			if err := consumer.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	waitForIdleConsumers(t, client, 2)
	enqueueBatch := func() time.Time {
		before := time.Now()
		if err := producer.Enqueue(t.Context(), jobs.NewID(), jobs.Route{Priority: jobs.PriorityBatch}); err != nil {
			t.Fatal(err)
		}
		return before
	}
	enqueueBatch()
	<-begun
	waitForIdleConsumers(t, client, 2)
	// The other consumer began to wait earlier; a token of any kind moves the full one to the front.
	if err := producer.Enqueue(t.Context(), jobs.NewID(), jobs.Route{Priority: jobs.PriorityLow}); err != nil {
		t.Fatal(err)
	}
	<-begun
	waitForIdleConsumers(t, client, 2)
	before := enqueueBatch()
	if took := (<-begun).Sub(before); took > wakePoll/2 {
		t.Errorf("a job of a batch waited %s beside a free place", took)
	}
}
