package dispatch

import (
	"slices"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// The API decides a job's limits once, from its settings and the limits that the live workers allow.
func TestWhatNoWorkerAllowsIsRefusedAtAcceptance(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	ask := func(memoryMB int64) (jobs.RequestedLimits, error) {
		t.Helper()
		request := jobs.Request{
			Script: "x", Async: true,
			Inputs: &jobs.Inputs{Limits: jobs.RequestedLimits{MemoryBytes: memoryMB << 20}},
		}
		record, err := s.Submit(t.Context(), request, "r")
		if err != nil {
			return jobs.RequestedLimits{}, err
		}
		job, _, _, err := s.store.Take(t.Context(), record.ID, "w", time.Second)
		return job.Limits, err
	}
	// No worker has registered yet.
	if got, err := ask(600); err != nil || got.MemoryBytes != 600<<20 || got.Wall != jobs.DefaultLimits().Wall {
		t.Fatalf("got %+v, %v", got, err)
	}
	maxLimits := jobs.DefaultLimits().Requestable()
	maxLimits.MemoryBytes = 512 << 20
	if err := s.store.Heartbeat(t.Context(), "w", time.Hour, store.Offer{MaxLimits: maxLimits}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !slices.Equal(s.fleet.Load().limits[jobs.DefaultEnvironment], []jobs.RequestedLimits{maxLimits}) {
		time.Sleep(5 * time.Millisecond)
		if time.Now().After(deadline) {
			t.Fatal("the API does not learn the workers' limits")
		}
	}
	_, err := ask(600)
	wantCode(t, err, jobs.CodeInvalidRequest)
	if got, err := ask(300); err != nil || got.MemoryBytes != 300<<20 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := ask(0); err != nil || got.MemoryBytes != 512<<20 {
		t.Errorf("got %+v, %v", got, err)
	}
	lines := []jobs.ItemRequest{
		{Request: jobs.Request{
			Script: "x", Async: true,
			Inputs: &jobs.Inputs{Limits: jobs.RequestedLimits{MemoryBytes: 600 << 20}},
		}},
		{Request: jobs.Request{Script: "x", Async: true}},
	}
	batch, err := s.SubmitBatch(t.Context(), jobs.BatchRequest{Items: lines}, "r")
	if err != nil || batch.Items[0].Err == nil || batch.Items[1].Err != nil {
		t.Errorf("got %+v, %v", batch, err)
	}
}
