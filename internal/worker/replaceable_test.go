package worker

import (
	"sync/atomic"
	"testing"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// loseFirst makes the first n sandboxes lost before their scripts start.
func (p *fakeSandboxes) loseFirst(n int64) {
	var lost atomic.Int64
	p.lose = func() bool { return lost.Add(1) <= n }
}

// A job whose sandbox is lost before the script starts runs in another one, once.
func TestALostSandboxIsReplaced(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.sandboxes.loseFirst(1)
	b.start(t)
	record := b.await(t, b.submit(t, "def main(): return 7"), jobs.State.Ended)
	if record.State != jobs.StateSucceeded || string(record.Outcome.Result) != "7" {
		t.Errorf("got %s: %+v", record.State, record.Outcome.Failure)
	}
	if acquired, ran := b.sandboxes.acquired.Load(), b.sandboxes.ran.Load(); acquired != 2 || ran != 1 {
		t.Errorf("%d sandboxes acquired, %d scripts run", acquired, ran)
	}
}

// The output of a job is streamed from the sandbox in which its script runs.
func TestAReplacedSandboxIsFollowed(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.sandboxes.loseFirst(2)
	id := b.create(t, printing)
	if _, err := b.Store.Watch(t.Context(), jobs.OperatorCaller(), id, "replica"); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	if err := b.producer.Enqueue(t.Context(), id, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	b.awaitStreamed(t, id)
	b.cancel(t, id)
}

// A job whose sandboxes are all lost ends as one that has not run.
func TestReplacementsAreBounded(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.sandboxes.loseFirst(100)
	b.start(t)
	record := b.await(t, b.submit(t, "def main(): return 7"), jobs.State.Ended)
	if f := record.Outcome.Failure; f == nil || f.Code != jobs.CodeInternal {
		t.Errorf("got %+v", f)
	}
	if acquired := b.sandboxes.acquired.Load(); acquired != acquireAttempts {
		t.Errorf("%d sandboxes acquired, want %d", acquired, acquireAttempts)
	}
}
