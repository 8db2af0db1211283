package dispatch

import (
	"context"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// wantStarted checks that a job is still queued and that a worker that starts later runs it.
func (s *replica) wantStarted(t *testing.T, id string) {
	t.Helper()
	if record, err := s.Get(t.Context(), id, 0); err != nil || record.State != jobs.StateQueued {
		t.Fatalf("got %+v, %v, want a queued job", record, err)
	}
	s.startWorker(t, time.Second, echo)
	if record, err := s.Get(t.Context(), id, 10*time.Second); err != nil || record.State != jobs.StateSucceeded {
		t.Errorf("got %+v, %v", record, err)
	}
}

// A job that was accepted asynchronously is not withdrawn by a synchronous request that joins it: not for lack of
// workers, not at the end of that request's wait, and not by the start deadline in that request.
func TestARequestDoesNotWithdrawTheJobThatItJoins(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.settings.NoWorkerGrace = 50 * time.Millisecond
	first, err := s.Submit(t.Context(), requestWithKey("k", "f"), "r-1")
	if err != nil {
		t.Fatal(err)
	}
	joining := requestWithKey("k", "f")
	joining.Async, joining.StartWithin = false, 100*time.Millisecond
	record, err := s.Execute(t.Context(), joining, "r-2", 400*time.Millisecond)
	if err != nil || record.ID != first.ID || record.State != jobs.StateQueued {
		t.Fatalf("got %+v, %v, want the queued job %s", record, err, first.ID)
	}
	s.wantStarted(t, first.ID)
}

// A request that was answered 202 with another request's job relies on that job.
func TestJobAnsweredToAnotherRequestIsNotWithdrawn(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.settings.NoWorkerGrace = 300 * time.Millisecond
	creating := requestWithKey("k", "f")
	creating.Async = false
	created := make(chan jobs.Record, 1)
	go func() {
		record, err := s.Execute(t.Context(), creating, "r-1", time.Second)
		if err != nil {
			t.Error(err)
		}
		created <- record
	}()
	for len(s.waiters.Keys()) == 0 {
		time.Sleep(time.Millisecond)
	}
	joined, err := s.Submit(t.Context(), requestWithKey("k", "f"), "r-2")
	if err != nil {
		t.Fatal(err)
	}
	if record := <-created; record.ID != joined.ID || record.State != jobs.StateQueued {
		t.Errorf("got %+v, want the queued job %s", record, joined.ID)
	}
	s.wantStarted(t, joined.ID)
}

func TestSynchronousJobQueuedAfterItsWaitIsKept(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.keepWorkerAlive(t)
	record, err := s.execute(t, "x", 200*time.Millisecond)
	if err != nil || record.State != jobs.StateQueued {
		t.Fatalf("got %+v, %v", record, err)
	}
	s.wantStarted(t, record.ID)
}

func TestASynchronousJobIsWithdrawnAtItsOwnStartDeadline(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.keepWorkerAlive(t)
	record, err := s.Execute(t.Context(), jobs.Request{Script: "x", StartWithin: 50 * time.Millisecond}, "r",
		300*time.Millisecond)
	if err != nil || record.Outcome == nil || record.Outcome.Failure.Code != jobs.CodeNotStarted {
		t.Errorf("got %+v, %v", record, err)
	}
}

func TestAnAbandonedJobIsWithdrawnUnlessItHasStarted(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for _, started := range []bool{false, true} {
		job, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true}, "r")
		if err != nil {
			t.Fatal(err)
		}
		want := jobs.StateCancelled
		if started {
			want = jobs.StateRunning
			if _, err := s.store.ClaimStart(t.Context(), job.ID, "t", "w", time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		withdrawn, err := s.Abandon(gone, job.ID)
		if err != nil || withdrawn == started {
			t.Errorf("started %v: withdrawn %v, %v", started, withdrawn, err)
		}
		if record, err := s.Get(t.Context(), job.ID, 0); err != nil || record.State != want {
			t.Errorf("got %+v, %v, want %s", record, err, want)
		}
	}
}
