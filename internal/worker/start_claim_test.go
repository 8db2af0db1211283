package worker

import (
	"errors"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

const other = "another worker"

// claimedByOther creates a job that another worker has started.
func (b *workerFixture) claimedByOther(t *testing.T, wall time.Duration) string {
	t.Helper()
	id := b.create(t, "def main(): pass")
	if _, err := b.Store.ClaimStart(t.Context(), id, "its token", other, wall); err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *workerFixture) otherLives(t *testing.T) {
	t.Helper()
	if err := b.Store.Heartbeat(t.Context(), other, time.Hour, store.Offer{}); err != nil {
		t.Fatal(err)
	}
}

func TestAClaimOfALiveWorkerStands(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.claimedByOther(t, time.Minute)
	b.otherLives(t)
	if err := b.deliver(t, id, 0); !errors.Is(err, queue.ErrHeld) {
		t.Errorf("got %v", err)
	}
	if state := b.get(t, id).State; state != jobs.StateRunning {
		t.Errorf("the job is %s", state)
	}
	b.wantRuns(t, 0, 0)
}

func TestTheClaimOfALostWorkerEndsTheJob(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.claimedByOther(t, time.Minute)
	if err := b.deliver(t, id, 0); err != nil {
		t.Error(err)
	}
	b.wantFailure(t, id, jobs.CodeWorkerLost)
	b.wantRuns(t, 0, 0)
}

// After an outage of Redis every heartbeat has expired.
func TestReturnedHeartbeatKeepsTheWorker(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.claimedByOther(t, time.Minute)
	go func() {
		time.Sleep(b.livenessTTL / 2)
		b.otherLives(t)
	}()
	if err := b.deliver(t, id, 0); !errors.Is(err, queue.ErrHeld) {
		t.Errorf("got %v", err)
	}
}

func TestALiveWorkerWithAnOverdueJob(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.claimedByOther(t, -b.Settings.EndPatience-overdueSlack-time.Second)
	b.otherLives(t)
	if err := b.deliver(t, id, 0); err != nil {
		t.Error(err)
	}
	b.wantFailure(t, id, jobs.CodeWorkerLost)
}

// Another delivery may claim the start between our check and our own attempt.
func TestTheLoserOfTheClaimDiscardsItsSandbox(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, b *workerFixture, id string)
		want      error
	}{
		"started": {func(t *testing.T, b *workerFixture, id string) {
			t.Helper()
			b.otherLives(t)
			if _, err := b.Store.ClaimStart(t.Context(), id, "its token", other, time.Minute); err != nil {
				t.Error(err)
			}
		}, queue.ErrHeld},
		"withdrawn": {func(t *testing.T, b *workerFixture, id string) {
			t.Helper()
			if _, err := b.Store.Withdraw(t.Context(), id, failure(jobs.CodeUnavailable, "")); err != nil {
				t.Error(err)
			}
		}, nil},
		"expired": {func(t *testing.T, b *workerFixture, id string) {
			t.Helper()
			b.Client.Del(t.Context(), "cellblock:{"+id+"}:job")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, redistest.Start(t))
			id := b.create(t, "def main(): pass")
			b.sandboxes.ready = func() { c.meanwhile(t, b, id) }
			if err := b.deliver(t, id, 0); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			b.wantRuns(t, 0, 1)
		})
	}
}

func TestTwoDeliveriesAtOnceAreOneRun(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	a, b := newFixture(t, url), newFixture(t, url)
	a.otherLives(t)
	script, runs := countingScript(t, 200*time.Millisecond)
	id := a.create(t, script)
	answers := make(chan error, 4)
	for _, w := range []*workerFixture{a, a, b, b} {
		w.livenessTTL = time.Minute
		if err := w.Store.Heartbeat(t.Context(), w.owner, time.Minute, store.Offer{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []*workerFixture{a, a, b, b} {
		go func() { answers <- w.deliver(t, id, 0) }()
	}
	for range 4 {
		if err := <-answers; err != nil && !errors.Is(err, queue.ErrHeld) {
			t.Error(err)
		}
	}
	if n := runs(); n != 1 {
		t.Errorf("%d runs", n)
	}
	if state := a.get(t, id).State; state != jobs.StateSucceeded {
		t.Errorf("the job is %s", state)
	}
}

// Without a replica that has the claim, a failover could lose it.
func TestNothingStartsWithoutTheReplicasAskedFor(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.Settings.FenceReplicas = 1
	id := b.create(t, "def main(): pass")
	if err := b.deliver(t, id, 0); err == nil {
		t.Error("the delivery counts as done")
	}
	if state := b.get(t, id).State; state != jobs.StateQueued {
		t.Errorf("the job is %s", state)
	}
	b.wantRuns(t, 0, 1)
}
