package queue

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// deliveries starts a consumer that sends the ids that it gets.
func deliveries(t *testing.T, url string) <-chan string {
	t.Helper()
	ids := make(chan string, 16)
	startConsumer(t, url, 1, func(_ context.Context, d Delivery) error {
		ids <- d.ID
		return nil
	})
	return ids
}

func want(t *testing.T, ids <-chan string, id string, within time.Duration) {
	t.Helper()
	select {
	case got := <-ids:
		if got != id {
			t.Errorf("%s was delivered, want %s", got, id)
		}
	case <-time.After(within):
		t.Errorf("nothing was delivered within %s", within)
	}
}

func TestAPausedQueueIsLeftOut(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	// What asynq's tools do.
	if err := client.Set(t.Context(), key(defaultQueue, "paused"), 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	paused := jobs.NewID()
	enqueue(t, producer, paused)
	other := enqueueIn(t, producer, "science", jobs.PriorityLow)
	_, ids := environmentConsumer(t, url, nil, "science")
	want(t, ids, other, 5*time.Second)
	waitForIdleConsumers(t, client, 1)
	if n := keyCount(t, client, "pending"); n != 1 {
		t.Errorf("%d jobs wait in the paused queue", n)
	}
	if err := client.Del(t.Context(), key(defaultQueue, "paused")).Err(); err != nil {
		t.Fatal(err)
	}
	want(t, ids, paused, wakePoll+wakeSlack)
}

// A task of which Redis has lost all but the id does not hold up others.
func TestATaskWithoutARecordHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	for _, queue := range []string{"high", "low", "batch", defaultQueue} {
		if err := client.LPush(t.Context(), key(queue, "pending"), jobs.NewID()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	id := jobs.NewID()
	enqueue(t, NewProducer(client), id)
	want(t, deliveries(t, url), id, wakePoll/2)
}

// What the step of another package returns comes with the delivery.
func TestAStepRunsWithTheDelivery(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.Start(t))
	producer, deliveries := NewProducer(client), make(chan Delivery, 1)
	step := Step{
		Lua: `
local function load() end
local function step(id, args)
	local steps = redis.call("INCR", "steps")
	if steps == 2 then
		return nil
	elseif steps == 3 then
		return tostring(1 - {}) -- an error
	end
	return {id, args[1], args[2]}
end
`, Args: []any{"a", 2},
	}
	consumer := NewConsumer(client, ConsumerSettings{
		Concurrency: 1, ShutdownTimeout: time.Second, Step: step,
	}, func(_ context.Context, d Delivery) error {
		deliveries <- d
		return nil
	}, slog.New(slog.DiscardHandler))
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = consumer.Stop() })
	for _, replies := range []bool{true, false, false, true} {
		id := jobs.NewID()
		if err := producer.Enqueue(t.Context(), id, jobs.Route{Priority: jobs.PriorityHigh}); err != nil {
			t.Fatal(err)
		}
		var want []string
		if replies {
			want = []string{id, "a", "2"}
		}
		if got := <-deliveries; got.ID != id || !slices.Equal(got.Reply, want) {
			t.Errorf("got %+v, want %q with %q", got, id, want)
		}
	}
	if kept := len(consumer.client.replies.byID); kept != 0 {
		t.Errorf("%d replies are kept", kept)
	}
}
