package reaper_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// Jobs end though the order of those that wait is broken.
func TestABrokenOrderDoesNotKeepJobsFromEnding(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 0)
	// A job whose task waits in a flow, under a key of another type.
	b.client.Set(t.Context(), "cellblock:{flows}:default:operator:default", "x", 0)
	b.client.Set(t.Context(), "cellblock:{flows}:default", "x", 0)
	b.client.Set(t.Context(), "cellblock:{flows}:default:operator", "x", 0)
	waiting := b.create(t, nil)
	b.client.HSet(t.Context(), "asynq:{default}:t:"+waiting, "state", "pending")
	late := b.create(t, func(job *jobs.Job) { job.StartWithin = time.Millisecond })
	b.reap(t, b.client)
	within(t, 5*time.Second, "the late job ends", func() bool { return b.code(t, late) == jobs.CodeNotStarted })
}
