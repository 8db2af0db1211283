package queue

import (
	"context"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// A job with high priority does not wait behind all others of its tenant.
func TestAFloodDoesNotDelayAHighPriority(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	producer := NewProducer(redistest.Client(t, url))
	for range 100 {
		enqueue(t, producer, jobs.NewID())
		if err := producer.Enqueue(t.Context(), jobs.NewID(), jobs.Route{Priority: jobs.PriorityLow}); err != nil {
			t.Fatal(err)
		}
	}
	urgent := jobs.NewID()
	if err := producer.Enqueue(t.Context(), urgent, jobs.Route{Priority: jobs.PriorityHigh}); err != nil {
		t.Fatal(err)
	}
	if n := countWaiting(t, redistest.Client(t, url)); n != 201 {
		t.Errorf("%d jobs wait", n)
	}
	handled := make(chan string, 201)
	startConsumer(t, url, 1, func(_ context.Context, d Delivery) error {
		handled <- d.ID
		return nil
	})
	for i := range 201 {
		select {
		case id := <-handled:
			if id == urgent && i > 4 {
				t.Errorf("%d came before it", i)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("only %d were delivered", i)
		}
	}
}
