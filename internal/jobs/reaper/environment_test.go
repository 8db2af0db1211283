package reaper_test

import (
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// A job with an environment that has lost its task gets it back in the environment's queue.
func TestAJobIsRequeuedForItsEnvironment(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	b.create(t, func(j *jobs.Job) { j.Priority, j.Environment = jobs.PriorityLow, "science" })
	eventually(t, "the job is in the queue", func() bool {
		return b.client.LLen(t.Context(), "asynq:{env:science:default}:pending").Val() == 1
	})
	if n := b.client.LLen(t.Context(), "asynq:{default}:pending").Val(); n != 0 {
		t.Errorf("%d jobs are in the default's queue", n)
	}
}

// Nothing is left of a job whose environment has no worker any more.
func TestTheTaskOfAWithdrawnJobIsRemoved(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	late := b.create(t, func(j *jobs.Job) { j.Environment, j.StartWithin = "science", 500*time.Millisecond })
	if err := b.producer.Enqueue(t.Context(), late, jobs.Route{Environment: "science"}); err != nil {
		t.Fatal(err)
	}
	// Of a job with an idempotency record, the reaper completes the end.
	ended := b.create(t, func(j *jobs.Job) { j.Environment, j.IdempotencyKey = "science", "cellblock:{k}:idempotency" })
	if err := b.producer.Enqueue(t.Context(), ended, jobs.Route{Environment: "science"}); err != nil {
		t.Fatal(err)
	}
	if err := b.client.HSet(t.Context(), "cellblock:{"+ended+"}:job", "state", "failed").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job is withdrawn", func() bool { return b.code(t, late) == jobs.CodeNotStarted })
	eventually(t, "only its tokens are left", func() bool {
		keys, err := b.client.Keys(t.Context(), "*env:science*").Result()
		return err == nil && len(keys) == 1 && strings.HasPrefix(keys[0], "{cellblock:wake}:")
	})
	if ttl := b.client.TTL(t.Context(), "{cellblock:wake}:env:science").Val(); ttl <= 0 || ttl > 24*time.Hour {
		t.Errorf("the tokens are kept for %v", ttl)
	}
}
