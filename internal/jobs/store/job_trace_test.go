package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTheTraceTravelsInTheRecord: to the worker, and to the sender of the webhook. A record without one is not larger.
func TestTheTraceTravelsInTheRecord(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	for stored, trace := range map[string]jobs.TraceContext{
		"":                      {},
		traceParent:             {Parent: traceParent},
		traceParent + " a=b,c=": {Parent: traceParent, State: "a=b,c="},
	} {
		job := createJob(t, s, func(j *jobs.Job) {
			j.Trace, j.WebhookURL = trace, "https://example.org/"
		})
		got, err := client.HGet(t.Context(), jobKey(job.ID), "trace").Result()
		if got != stored || errors.Is(err, redis.Nil) != (stored == "") {
			t.Errorf("%q: stored as %q, %v", stored, got, err)
		}
		taken, _, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
		if err != nil || taken.Trace != trace {
			t.Errorf("%q: taken as %+v, %v", stored, taken.Trace, err)
		}
		endJob(t, s, job.ID, succeeded("1"))
		webhook, err := s.PeekWebhook(t.Context(), job.ID)
		if err != nil || webhook.Trace != trace {
			t.Errorf("%q: the webhook has %+v, %v", stored, webhook.Trace, err)
		}
	}
}

// TestADamagedTraceIsNone: no record may keep its job from running.
func TestADamagedTraceIsNone(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	job := createJob(t, s)
	if err := client.HSet(t.Context(), jobKey(job.ID), "trace", "x\x00y z").Err(); err != nil {
		t.Fatal(err)
	}
	taken, state, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
	if err != nil || state != jobs.StateQueued || taken.Trace != (jobs.TraceContext{}) {
		t.Errorf("%+v, %s, %v", taken.Trace, state, err)
	}
}

// TestAWorkerLearnsTheWait: from the acceptance until it takes the job.
func TestAWorkerLearnsTheWait(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	job := createJob(t, s)
	earlier := time.Now().Add(-time.Minute).UnixMicro()
	if err := client.HSet(t.Context(), jobKey(job.ID), "created_at", earlier).Err(); err != nil {
		t.Fatal(err)
	}
	taken, _, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
	if err != nil || taken.Waited < time.Minute || taken.Waited > 2*time.Minute {
		t.Errorf("waited %s, %v", taken.Waited, err)
	}
}
