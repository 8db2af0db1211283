package reaper_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
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

// Jobs that are withdrawn while their tenant is at its bound, or that have an environment without workers, leave
// nothing behind.
func TestWithdrawnJobsLeaveTheirFlows(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jobs.Job){
		"of a bounded tenant": func(j *jobs.Job) { j.Tenant, j.MaxRunning = "a", 1 },
		"of an environment":   func(j *jobs.Job) { j.Tenant, j.Environment = "a", "gone" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, 1)
			for range 5 {
				job := jobs.Job{Tenant: "a", ID: jobs.NewID(), Script: "x", Async: true}
				change(&job)
				task, err := b.producer.Task(t.Context(), job.ID, job.Route())
				if err == nil {
					_, err = b.Accept(t.Context(), job, store.Step(task), store.OpenLimits{})
				}
				if err != nil {
					t.Fatal(err)
				}
				failure := &jobs.Failure{Code: jobs.CodeCancelled}
				if ended, err := b.Withdraw(t.Context(), job.ID, jobs.Outcome{Failure: failure}); !ended || err != nil {
					t.Fatal(ended, err)
				}
			}
			within(t, 5*time.Second, "nothing is left", func() bool {
				open, err := b.TenantOpen(t.Context(), "a")
				left := len(b.client.Keys(t.Context(), "asynq:{*:t:*").Val())
				return err == nil && open+left+len(b.client.Keys(t.Context(), "cellblock:{flows}*").Val()) == 0
			})
		})
	}
}
