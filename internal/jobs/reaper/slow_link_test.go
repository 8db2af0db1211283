package reaper_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// Redis is far away, and there is more work than one pass can do: each kind of work still progresses, and each pass
// begins with what the one before left.
func TestNoStepStarvesWhereRedisIsFar(t *testing.T) {
	t.Parallel()
	const waiting = 12
	far := redistest.StartFar(t)
	b := newFixtureAt(t, redistest.Client(t, far.URL()), 0)
	for range waiting {
		b.create(t, nil) // none of them has a task
	}
	gone := b.create(t, nil)
	if _, err := b.End(t.Context(), gone, jobs.Outcome{Result: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	b.client.Del(t.Context(), "cellblock:{"+gone+"}:job")
	called := b.create(t, withWebhook)
	if _, err := b.End(t.Context(), called, jobs.Outcome{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.BeginWebhook(t.Context(), called, time.Second); err != nil {
		t.Fatal(err)
	}
	b.client.Del(t.Context(), "asynq:{webhooks}:t:"+called, "asynq:{webhooks}:pending")

	far.Disturb(t, "latency", `"latency": 100`)
	b.reap(t, redistest.Client(t, far.FarURL()))
	within(t, 20*time.Second, "the webhook is queued again", func() bool { return b.webhookPending(t) })
	within(t, time.Minute, "the index forgets what is gone", func() bool {
		n, err := b.Indexed(t.Context(), []jobs.Tenant{jobs.Operator})
		return err == nil && n == waiting+1
	})
	within(t, time.Minute, "all jobs are queued", func() bool {
		flow := b.client.LLen(t.Context(), "cellblock:{flows}:default:operator:default").Val()
		return b.client.LLen(t.Context(), "asynq:{default}:pending").Val()+flow == waiting
	})
}
