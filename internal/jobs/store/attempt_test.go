package store_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// An attempt that was assumed dead may still report. It does not change the result of later attempts, unless it
// reports a successful delivery.
func TestALateWordOfAnEarlierAttempt(t *testing.T) {
	begin := func(s *store.Store, id string) jobs.Callback {
		callback, err := s.BeginCallback(t.Context(), id, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return callback
	}
	finish := func(s *store.Store, id string, callback jobs.Callback, status jobs.CallbackStatus, pause time.Duration) {
		if callback.Status = status; status != jobs.CallbackDelivered {
			callback.Error = "timeout"
		}
		if err := s.EndCallback(t.Context(), id, callback, pause); err != nil {
			t.Fatal(err)
		}
	}
	for late, want := range map[jobs.CallbackStatus]jobs.CallbackStatus{
		jobs.CallbackPending: jobs.CallbackFailed, jobs.CallbackDelivered: jobs.CallbackDelivered,
	} {
		t.Run(string(late), func(t *testing.T) {
			s, client, _ := openWithCallbacks(t)
			job := create(t, s, withCallback)
			end(t, s, job.ID, succeeded("1"))
			first, second := begin(s, job.ID), begin(s, job.ID)
			finish(s, job.ID, first, jobs.CallbackPending, time.Minute)
			if got := get(t, s, job.ID).Callback; got.Attempts != 2 || !got.NextAttemptAt.IsZero() {
				t.Errorf("while the second is under way: %+v", got)
			}
			finish(s, job.ID, second, jobs.CallbackFailed, 0)
			finish(s, job.ID, first, late, time.Minute)
			if got := get(t, s, job.ID).Callback; got.Status != want {
				t.Errorf("got %+v, want %s", got, want)
			}
			if n := client.ZCard(t.Context(), openCallbacks).Val(); n != 0 {
				t.Errorf("%d callbacks are looked after that are over", n)
			}
		})
	}
}

// The record still exists at the next attempt, even if that was postponed beyond the record's TTL.
func TestARecordStaysForTheNextAttempt(t *testing.T) {
	s, client, _ := openWithCallbacks(t)
	job := create(t, s, withCallback)
	end(t, s, job.ID, succeeded("1"))
	key := "cellblock:{" + job.ID + "}:job"
	if err := client.Expire(t.Context(), key, 30*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	callback, err := s.BeginCallback(t.Context(), job.ID, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	callback.Status, callback.Error = jobs.CallbackPending, "status"
	if err := s.EndCallback(t.Context(), job.ID, callback, time.Minute); err != nil {
		t.Fatal(err)
	}
	if left := client.PTTL(t.Context(), key).Val(); left < 2*time.Minute {
		t.Errorf("the record is kept for %s, its next attempt is in a minute", left)
	}
}
