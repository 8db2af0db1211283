package store_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
)

func TestOnlyQueuedJobsWhoseDeadlineHasPassedAreWithdrawn(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	late := func(j *jobs.Job) { j.StartWithin = time.Hour }
	passed := func(id string) {
		if err := client.HSet(t.Context(), "cellblock:{"+id+"}:job", "start_by", "1").Err(); err != nil {
			t.Fatal(err)
		}
	}
	waiting, overdue, running, never := createJob(t, s, late), createJob(t, s, late), createJob(t, s,
		late), createJob(t, s)
	claimStart(t, s, running.ID, "a")
	passed(overdue.ID)
	passed(running.ID)
	for _, c := range []struct {
		id   string
		want bool
		then jobs.State
	}{
		{waiting.ID, false, jobs.StateQueued},
		{overdue.ID, true, jobs.StateCancelled},
		{overdue.ID, true, jobs.StateCancelled}, // again, after a lost reply
		{running.ID, false, jobs.StateRunning},
		{never.ID, false, jobs.StateQueued},
	} {
		dropped, err := s.WithdrawLate(t.Context(), c.id)
		if state := getRecord(t, s, c.id).State; err != nil || dropped != c.want || state != c.then {
			t.Errorf("dropped %v, %v, the job is %s; want %v, %s", dropped, err, state, c.want, c.then)
		}
	}
	if dropped, err := s.WithdrawLate(t.Context(), jobs.NewID()); err != nil || dropped {
		t.Errorf("a job that is not there: %v, %v", dropped, err)
	}
}

func TestSharedJobIsNotWithdrawnByItsCreator(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for _, shared := range []bool{false, true} {
		job := createJob(t, s)
		if shared {
			if err := s.MarkShared(t.Context(), job.ID); err != nil {
				t.Fatal(err)
			}
		}
		withdrawn, err := s.WithdrawUnshared(t.Context(), job.ID, failed(jobs.CodeUnavailable))
		if err != nil || withdrawn == shared {
			t.Errorf("shared %v: withdrawn %v, %v", shared, withdrawn, err)
		}
	}
	gone := jobs.NewID()
	if err := s.MarkShared(t.Context(), gone); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), operator, gone); jobs.CodeOf(err) != jobs.CodeNotFound {
		t.Errorf("a record was made: %v", err)
	}
}
