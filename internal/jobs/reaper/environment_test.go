package reaper_test

import (
	"testing"

	"cellblock/internal/jobs"
)

// A job with an environment that has lost its task gets it back in the environment's queue.
func TestAJobIsRequeuedForItsEnvironment(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	b.create(t, func(j *jobs.Job) { j.Priority, j.Environment = jobs.PriorityLow, "science" })
	eventually(t, "the job is in the queue", func() bool {
		return b.client.LLen(t.Context(), "asynq:{env:science:low}:pending").Val() == 1
	})
	if n := b.client.LLen(t.Context(), "asynq:{low}:pending").Val(); n != 0 {
		t.Errorf("%d jobs are in the default's queue", n)
	}
}
