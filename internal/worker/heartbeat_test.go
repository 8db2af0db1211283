package worker

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// TestAForgottenWorkerReportsItsLimits removes an idle worker from Redis, as the others do with one that was silent for
// too long.
func TestAForgottenWorkerReportsItsLimits(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.MaxLimits = jobs.DefaultLimits().Requestable()
	known := func() bool {
		fleet, err := b.Store.Fleet(t.Context())
		return err == nil && slices.Equal(fleet.Limits(""), []jobs.RequestedLimits{b.MaxLimits})
	}
	b.start(t)
	within(t, "it has reported its limits, and that it is idle", func() bool {
		return known() && b.reports.isIdle()
	})
	for range 3 {
		if err := b.Store.RemoveWorker(t.Context(), b.owner); err != nil {
			t.Fatal(err)
		}
		before := b.heartbeats.Load()
		within(t, "it is known again", known)
		// Nine of ten heartbeats are half ones; it must not take until the next full one.
		if after := b.heartbeats.Load(); after > before+2*idleIntervals {
			t.Errorf("it took %d intervals", after-before)
		}
		within(t, "it is idle again", b.reports.isIdle)
	}
}

// TestAnIdleWorkerThatDrainsReportsIt drains a worker whose heartbeats are half ones.
func TestAnIdleWorkerThatDrainsReportsIt(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	if err := b.sendHeartbeat(t.Context()); err != nil || !b.reports.isIdle() {
		t.Fatal("it does not report that it is idle: ", err)
	}
	if n, err := b.Store.LiveWorkers(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d workers, %v", n, err)
	}
	b.draining.Store(true)
	if err := b.sendHeartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.Store.LiveWorkers(t.Context()); n != 0 || err != nil {
		t.Errorf("%d workers take jobs, %v", n, err)
	}
}

// TestAWorkerReportsWhatItIs lists a worker by its heartbeat.
func TestAWorkerReportsWhatItIs(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.Environments, b.Settings.Concurrency, b.Version = newEnvironments("science"), 7, "v7"
	_, release := b.inFlight.add(t.Context(), jobs.NewID(), nil)
	defer release()
	if err := b.sendHeartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	workers, err := b.Store.ListWorkers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("%+v, %v", workers, err)
	}
	got := workers[0]
	for what, at := range map[string]time.Time{"started": got.StartedAt, "was seen": got.LastSeenAt} {
		if age := time.Since(at); age < -time.Second || age > time.Minute {
			t.Errorf("it %s at %v", what, at)
		}
	}
	host, _ := os.Hostname()
	want := jobs.WorkerStatus{
		ID: b.owner, Host: host, Version: "v7", StartedAt: got.StartedAt, LastSeenAt: got.LastSeenAt,
		Places: 7, Busy: 1,
	}
	current, _ := b.Environments.List()
	for i, environment := range current {
		want.Environments = append(want.Environments, jobs.WorkerEnvironment{
			Name: environment.Name, Hash: environment.Hash, Ready: new(i),
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
