package reaper_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// withWebhook makes a job synchronous: records of asynchronous jobs are kept for only a second here.
func withWebhook(j *jobs.Job) { j.WebhookURL, j.Async = "https://a.example/", false }

func (b *fixture) webhookPending(t *testing.T) bool {
	t.Helper()
	return b.client.LLen(t.Context(), "asynq:{webhooks}:pending").Val() == 1
}

// A worker stored the end of a job and died before it enqueued the webhook.
func TestTheWebhookOfAWorkerThatDiedIsQueued(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	id := b.create(t, withWebhook)
	dead := store.New(b.client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	if _, err := dead.End(t.Context(), id, jobs.Outcome{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the webhook is queued", func() bool { return b.webhookPending(t) })
	eventually(t, "the job is no longer open", func() bool {
		return b.client.ZCard(t.Context(), "cellblock:{index}:open").Val() == 0
	})
}

// The reaper itself ends a job.
func TestTheWebhookOfALostJobIsQueued(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	id := b.create(t, withWebhook)
	if _, err := b.ClaimStart(t.Context(), id, "t", "lost", time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the webhook is queued", func() bool { return b.webhookPending(t) })
	if code := b.code(t, id); code != jobs.CodeWorkerLost {
		t.Errorf("it ended as %s", code)
	}
}

// An API replica took a webhook and died while it sent it; another webhook was lost by the queue.
func TestALostWebhookIsQueuedAgain(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"taken by a dead replica": false, "not in the queue": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, 1)
			id := b.create(t, withWebhook)
			if _, err := b.End(t.Context(), id, jobs.Outcome{}); err != nil {
				t.Fatal(err)
			}
			if !b.webhookPending(t) {
				t.Fatal("it was not queued")
			}
			if _, err := b.BeginWebhook(t.Context(), id, time.Second); err != nil {
				t.Fatal(err)
			}
			b.dequeue(t, "webhooks", id)
			if lost {
				b.client.Del(t.Context(), "asynq:{webhooks}:t:"+id, "asynq:{webhooks}:active", "asynq:{webhooks}:lease")
			}
			eventually(t, "it is queued again", func() bool { return b.webhookPending(t) })
			if n := b.client.LLen(t.Context(), "asynq:{webhooks}:active").Val(); n != 0 {
				t.Errorf("%d tasks are active", n)
			}
		})
	}
}
