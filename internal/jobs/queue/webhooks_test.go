package queue

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func startWebhookConsumer(t *testing.T, url string, handle WebhookHandler) *Consumer {
	t.Helper()
	c := NewWebhookConsumer(redistest.Client(t, url),
		ConsumerSettings{Concurrency: 2, ShutdownTimeout: 10 * time.Second}, handle, slog.New(slog.DiscardHandler))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

// A webhook is delivered at once, again after the pause that its handler returns, again after an error, and then no
// more.
func TestWebhooksAreRedeliveredAfterTheirPause(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	type answer struct {
		again time.Duration
		err   error
	}
	answers := []answer{{again: 1200 * time.Millisecond}, {err: errors.New("no Redis")}, {}}
	came := make(chan time.Time, len(answers)+1)
	n := 0
	startWebhookConsumer(t, url, func(context.Context, string) (time.Duration, error) {
		came <- time.Now()
		n++
		return answers[n-1].again, answers[n-1].err
	})
	startConsumer(t, url, 1, func(context.Context, Delivery) error {
		t.Error("a worker got it")
		return nil
	})
	waitForIdleConsumers(t, client, 2)
	id := jobs.NewID()
	last := time.Now()
	for range 2 { // the second one has no effect
		if err := producer.EnqueueWebhook(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []struct{ least, most time.Duration }{
		{0, time.Second},
		{1200 * time.Millisecond, 4 * time.Second},
		{time.Second, 5 * time.Second},
	} {
		select {
		case at := <-came:
			if took := at.Sub(last); took < want.least || took > want.most {
				t.Errorf("delivery %d came after %s", i, took)
			}
			last = at
		case <-time.After(8 * time.Second):
			t.Fatalf("delivery %d did not come", i)
		}
	}
	waitFor(t, "the task is gone", 5*time.Second, func() bool {
		return client.Exists(t.Context(), key(webhookQueue, "t:"+id)).Val() == 0
	})
}

// A webhook whose sender has died is delivered to another consumer as soon as it is requeued.
func TestRequeueWebhook(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	producer := NewProducer(redistest.Client(t, url))
	id := jobs.NewID()
	dead, finish := make(chan struct{}), make(chan struct{})
	hanging := startWebhookConsumer(t, url, func(context.Context, string) (time.Duration, error) {
		close(dead)
		<-finish
		return 0, nil
	})
	if err := producer.EnqueueWebhook(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	<-dead
	stopped := make(chan struct{})
	go func() { // it takes no more webhooks, and keeps the one that it has
		_ = hanging.Stop()
		close(stopped)
	}()
	got := make(chan string, 1)
	startWebhookConsumer(t, url, func(_ context.Context, id string) (time.Duration, error) {
		got <- id
		return 0, nil
	})
	if err := producer.RequeueWebhook(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	select {
	case other := <-got:
		if other != id {
			t.Errorf("got %s", other)
		}
	case <-time.After(8 * time.Second):
		t.Error("nobody got it")
	}
	close(finish)
	<-stopped
}
