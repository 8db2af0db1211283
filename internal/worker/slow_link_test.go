package worker

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// A worker whose link is slower than its heartbeat interval is not taken for lost, and obeys
// cancels even if the message is lost.
func TestAWorkerOnASlowLinkLives(t *testing.T) {
	t.Parallel()
	far := redistest.StartFar(t)
	client := redistest.Client(t, far.URL())
	near := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	b := newFixture(t, far.FarURL())
	b.heartbeatInterval, b.livenessTTL = heartbeatInterval, livenessTTL
	far.Disturb(t, "latency", `"latency": 600`)
	b.start(t)
	t.Cleanup(func() { far.Calm(t) }) // before the worker is stopped
	lives := func() bool {
		lives, err := near.WorkerAlive(t.Context(), b.owner)
		if err != nil {
			t.Fatal(err)
		}
		return lives
	}
	within(t, "its heartbeat arrives", lives)
	is := func(id string, want jobs.State) bool {
		if !lives() {
			t.Fatal("it is taken for lost")
		}
		record, err := near.Get(t.Context(), jobs.OperatorCaller(), id)
		if err != nil {
			t.Fatal(err)
		}
		return record.State == want
	}
	id := jobs.NewID()
	if err := near.Create(t.Context(),
		jobs.Job{Tenant: jobs.Operator, ID: id, Script: "import time\ndef main(): time.sleep(20)"}); err != nil {
		t.Fatal(err)
	}
	handled := make(chan error, 1)
	go func() { handled <- b.deliver(t, id, 0) }()
	within(t, "the job runs", func() bool { return is(id, jobs.StateRunning) })
	client.HSet(t.Context(), "cellblock:{"+id+"}:job", "cancel", "1")
	within(t, "the job is cancelled", func() bool { return is(id, jobs.StateCancelled) })
	if err := <-handled; err != nil {
		t.Error(err)
	}
}

// within polls until done returns true.
func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
