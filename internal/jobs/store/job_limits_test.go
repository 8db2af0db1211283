package store_test

import (
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// A job's limits are those of its record, until a worker has decided them.
func TestLimitsOfRecords(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	messages := subscribe(t, client)
	decided := jobs.RequestedLimits{
		Wall: 1500 * time.Millisecond, CPU: time.Second, MemoryBytes: 64 << 20, Processes: 8, OutputBytes: 100,
	}
	lower := decided
	lower.MemoryBytes = 32 << 20
	for name, tc := range map[string]struct {
		open          bool
		stored        jobs.RequestedLimits
		before, after jobs.RequestedLimits
	}{
		"decided":               {false, decided, decided, lower},
		"open":                  {true, decided, jobs.RequestedLimits{}, lower},
		"of an earlier version": {},
	} {
		job := createJob(t, s, func(j *jobs.Job) { j.Limits, j.LimitsOpen = tc.stored, tc.open })
		if got := getRecord(t, s, job.ID).Limits; got != tc.before {
			t.Errorf("%s: before the end %+v", name, got)
		}
		outcome := succeeded("1")
		outcome.Limits = tc.after
		endJob(t, s, job.ID, outcome)
		record := getRecord(t, s, job.ID)
		if record.Limits != tc.after {
			t.Errorf("%s: after the end %+v", name, record.Limits)
		}
		if _, published := store.ParseEnd(messages()); published == nil || published.Limits != tc.after {
			t.Errorf("%s: published is %+v", name, published)
		}
	}
	withdrawn := createJob(t, s, func(j *jobs.Job) { j.Limits = decided })
	endJob(t, s, withdrawn.ID, failed(jobs.CodeNotStarted))
	if got := getRecord(t, s, withdrawn.ID).Limits; got != decided {
		t.Errorf("withdrawn: %+v", got)
	}
}

// An earlier version reads the outcome of a worker of this one, and the other way round.
func TestOutcomesOfOtherVersions(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	job := createJob(t, s)
	outcome := succeeded("1")
	outcome.Stdout, outcome.Limits.Wall = "printed", time.Second
	endJob(t, s, job.ID, outcome)
	stored := client.HGet(t.Context(), jobKey(job.ID), "outcome").Val()
	if !strings.Contains(stored, `"limits":{"wall_us":1000000}`) || !strings.Contains(stored, `"stdout":"printed"`) {
		t.Errorf("stored is %s", stored)
	}
	for name, text := range map[string]string{
		"earlier": strings.Replace(stored, `,"limits":{"wall_us":1000000}`, "", 1),
		"later":   strings.Replace(stored, `"wall_us":1000000`, `"wall_us":-1,"disk":5`, 1),
	} {
		client.HSet(t.Context(), jobKey(job.ID), "outcome", text)
		record := getRecord(t, s, job.ID)
		if record.Outcome.Stdout != "printed" || record.Limits != (jobs.RequestedLimits{}) || text == stored {
			t.Errorf("%s: %+v", name, record)
		}
	}
}
