package worker

import (
	"slices"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestARunningJobIsCancelled(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.start(t)
	var took []time.Duration
	for range 5 {
		id := b.submit(t, "import time\ndef main(): time.sleep(20)")
		b.await(t, id, running)
		start := time.Now()
		state, err := b.Store.Cancel(t.Context(), jobs.OperatorCaller(), id)
		if err != nil || state != jobs.StateRunning {
			t.Fatalf("got %s, %v", state, err)
		}
		b.await(t, id, jobs.State.Ended)
		took = append(took, time.Since(start))
		b.wantFailure(t, id, jobs.CodeCancelled)
	}
	slices.Sort(took)
	if took[2] > commandRecheck/2 {
		t.Errorf("it waits for a look at the records: %v", took)
	}
}

// The message may be lost; the record has it too.
func TestALostMessageDoesNotLoseTheCancel(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.start(t)
	id := b.submit(t, "import time\ndef main(): time.sleep(20)")
	b.await(t, id, running)
	b.Client.HSet(t.Context(), "cellblock:{"+id+"}:job", "cancel", "1")
	start := time.Now()
	b.await(t, id, jobs.State.Ended)
	if took := time.Since(start); took > commandRecheck+2*time.Second {
		t.Errorf("took %s", took)
	}
	b.wantFailure(t, id, jobs.CodeCancelled)
}

func TestALateJobIsWithdrawn(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	late := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "def main(): pass", StartWithin: time.Millisecond}
	if err := b.Store.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	if err := b.deliver(t, late.ID, 0); err != nil {
		t.Error(err)
	}
	b.wantFailure(t, late.ID, jobs.CodeNotStarted)
	b.wantRuns(t, 0, 0)
	// The deadline may pass while a sandbox is made.
	later := jobs.Job{
		Tenant: jobs.Operator, ID: jobs.NewID(), Script: "def main(): pass", StartWithin: 50 * time.Millisecond,
	}
	if err := b.Store.Create(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	b.sandboxes.ready = func() { time.Sleep(60 * time.Millisecond) }
	if err := b.deliver(t, later.ID, 0); err != nil {
		t.Error(err)
	}
	b.wantFailure(t, later.ID, jobs.CodeNotStarted)
	b.wantRuns(t, 0, 1)
}
