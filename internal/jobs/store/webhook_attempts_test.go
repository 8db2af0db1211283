package store_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// An attempt that was assumed dead may still report. It does not change the result of later attempts, unless it
// reports a successful delivery.
func TestALateResultOfAnEarlierAttempt(t *testing.T) {
	t.Parallel()
	begin := func(s *store.Store, id string) jobs.Webhook {
		webhook, err := s.BeginWebhook(t.Context(), id, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return webhook
	}
	finish := func(s *store.Store, id string, webhook jobs.Webhook, status jobs.WebhookStatus, pause time.Duration) {
		if webhook.Status = status; status != jobs.WebhookDelivered {
			webhook.Error = "timeout"
		}
		if err := s.EndWebhook(t.Context(), id, webhook, pause); err != nil {
			t.Fatal(err)
		}
	}
	for late, want := range map[jobs.WebhookStatus]jobs.WebhookStatus{
		jobs.WebhookPending: jobs.WebhookFailed, jobs.WebhookDelivered: jobs.WebhookDelivered,
	} {
		t.Run(string(late), func(t *testing.T) {
			s, client, _ := newStoreWithWebhooks(t)
			job := createJob(t, s, withWebhook)
			endJob(t, s, job.ID, succeeded("1"))
			first, second := begin(s, job.ID), begin(s, job.ID)
			finish(s, job.ID, first, jobs.WebhookPending, time.Minute)
			if got := getRecord(t, s, job.ID).Webhook; got.Attempts != 2 || !got.NextAttemptAt.IsZero() {
				t.Errorf("while the second is under way: %+v", got)
			}
			finish(s, job.ID, second, jobs.WebhookFailed, 0)
			finish(s, job.ID, first, late, time.Minute)
			if got := getRecord(t, s, job.ID).Webhook; got.Status != want {
				t.Errorf("got %+v, want %s", got, want)
			}
			if n := client.ZCard(t.Context(), openWebhooks).Val(); n != 0 {
				t.Errorf("%d webhooks are looked after that are over", n)
			}
		})
	}
}

// The record still exists at the next attempt, even if that was postponed beyond the record's TTL.
func TestARecordStaysForTheNextAttempt(t *testing.T) {
	t.Parallel()
	s, client, _ := newStoreWithWebhooks(t)
	job := createJob(t, s, withWebhook)
	endJob(t, s, job.ID, succeeded("1"))
	key := "cellblock:{" + job.ID + "}:job"
	if err := client.Expire(t.Context(), key, 30*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	webhook, err := s.BeginWebhook(t.Context(), job.ID, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	webhook.Status, webhook.Error = jobs.WebhookPending, "status"
	if err := s.EndWebhook(t.Context(), job.ID, webhook, time.Minute); err != nil {
		t.Fatal(err)
	}
	if left := client.PTTL(t.Context(), key).Val(); left < 2*time.Minute {
		t.Errorf("the record is kept for %s, its next attempt is in a minute", left)
	}
}
