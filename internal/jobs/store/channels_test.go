package store_test

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// Each replica that watches a job or a batch receives each change once, and no other replica receives any.
func TestWatchingReplicasAreNotified(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	s := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	subscription := client.Subscribe(t.Context(), "a", "b", "c")
	defer subscription.Close()
	for range 3 {
		if _, err := subscription.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	messages := subscription.Channel()
	want := func(key string, channels ...string) {
		t.Helper()
		for _, channel := range channels {
			select {
			case m := <-messages:
				if m.Channel != channel || m.Payload != key {
					t.Fatalf("%s received %q, want %s to receive %q", m.Channel, m.Payload, channel, key)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("%s receives nothing", channel)
			}
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	watch := func(id string, channels ...string) {
		for _, channel := range channels {
			_, err := s.Watch(t.Context(), operator, id, channel)
			do(err)
		}
	}
	batch := jobs.NewID()
	job := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "x", BatchItem: jobs.BatchItem{BatchID: batch}}
	_, err := s.CreateBatch(t.Context(), jobs.Operator, batch, "", []string{job.ID})
	do(err)
	do(s.WatchBatch(t.Context(), operator, batch, "c"))
	do(s.Create(t.Context(), job))
	watch(job.ID, "a", "b", "a")
	claim, err := s.ClaimStart(t.Context(), job.ID, "token", "worker", time.Minute)
	do(err)
	if !claim.Watched {
		t.Error("the worker that starts the job does not learn that it is watched")
	}
	want(store.EventsKey(job.ID), "a", "b")
	do(s.AppendOutput(t.Context(), job.ID, []jobs.OutputChunk{{Stream: jobs.Stdout, Text: "hi"}}, time.Minute))
	want(store.EventsKey(job.ID), "a", "b")
	_, err = s.End(t.Context(), job.ID, jobs.Outcome{Result: []byte("1")})
	do(err)
	want(store.EventsKey(job.ID), "a", "b")
	want(store.BatchKey(batch), "c")
	do(client.Publish(t.Context(), "a", "last").Err())
	want("last", "a")
	if err := s.WatchBatch(t.Context(), operator, "unknown", "c"); !isNotFound(err) {
		t.Errorf("an unknown batch: %v", err)
	}
	if n := client.Exists(t.Context(), "cellblock:{unknown}:batch").Val(); n != 0 {
		t.Error("an unknown batch was created")
	}
}

// A batch of which Redis has lost a part is an error, and no reader meets an item that is not there.
func TestABatchWithoutItsItemsIsAnError(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	s := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	id := jobs.NewID()
	if _, err := s.CreateBatch(t.Context(), jobs.Operator, id, "", []string{jobs.NewID()}); err != nil {
		t.Fatal(err)
	}
	if record, err := s.Batch(t.Context(), operator, id); err != nil || len(record.JobIDs) != 1 {
		t.Fatalf("got %+v, %v", record, err)
	}
	if n := client.Del(t.Context(), "cellblock:{"+id+"}:items").Val(); n != 1 {
		t.Fatal("the batch has no items")
	}
	if record, err := s.Batch(t.Context(), operator, id); err == nil || jobs.CodeOf(err) != "" {
		t.Errorf("got %+v, %v", record, err)
	}
}
