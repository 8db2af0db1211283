package dispatch

import (
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

func (s *replica) status(t *testing.T) jobs.ServiceStatus {
	t.Helper()
	status, err := s.ServiceStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// wantWaiting fails unless n jobs wait in the default environment.
func (s *replica) wantWaiting(t *testing.T, n int) {
	t.Helper()
	if got := s.status(t).Queues[jobs.DefaultEnvironment].Waiting; got != n {
		t.Errorf("%d jobs wait, want %d", got, n)
	}
}

// wantQueue compares the queue of an environment. oldest is the age of the job that waits longest, 0 for none.
func (s *replica) wantQueue(t *testing.T, environment string, waiting, held, oldest int) {
	t.Helper()
	isOfAge := s.readAges(t)
	got := s.status(t).Queues[environment]
	isRight := oldest == 0 && got.Oldest == 0 || oldest != 0 && isOfAge(got.Oldest, oldest)
	if got.Waiting != waiting || got.Held != held || !isRight {
		t.Errorf("%s: got %+v, want %d waiting, %d held, %d s", environment, got, waiting, held, oldest)
	}
}

// beat sends a heartbeat of a worker with slots, which holds jobs.
func (s *replica) beat(t *testing.T, name string, ttl time.Duration, slots int, environments []string, held ...string) {
	t.Helper()
	offer := store.Offer{Environments: map[string]string{}, Report: &store.Report{Places: slots}}
	for _, environment := range environments {
		offer.Environments[environment] = "h"
	}
	if err := s.store.Heartbeat(t.Context(), name, ttl, offer, held...); err != nil {
		t.Fatal(err)
	}
}

func TestServiceStatusCountsWorkers(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.beat(t, "a", time.Hour, 4, []string{"default"}, "1", "2")
	s.beat(t, "b", time.Hour, 2, []string{"default", "science"}, "3")
	s.beat(t, "draining", time.Hour, 8, []string{"default"}, "4")
	s.beat(t, "gone", -time.Minute, 16, []string{"default"}, "5")
	if err := s.store.MarkDraining(t.Context(), "draining"); err != nil {
		t.Fatal(err)
	}
	got := s.status(t)
	if got.Workers != 2 || got.Slots != 6 || got.Busy != 3 || got.Queues["default"].Workers != 2 ||
		got.Queues["science"].Workers != 1 || got.UsedMemory <= 0 || got.MaxMemory != 0 {
		t.Errorf("got %+v", got)
	}
}

// Several tenants have jobs of each priority, of batches, and with another environment; one is at its bound.
func TestServiceStatusCountsQueues(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	holds := func(ids ...string) { s.beat(t, "w", time.Hour, 2, []string{"default", "science"}, ids...) }
	holds()
	s.awaitFleet(t, "the environments are known", func(f *fleet) bool { return len(f.names()) == 2 })
	s.wantQueue(t, "default", 0, 0, 0)
	submit := func(tenant jobs.Tenant, bound, age int, request jobs.Request) string {
		t.Helper()
		request.Script, request.Async = "x", true
		record, err := s.Submit(as(t, tenant, jobs.TenantLimits{RunningJobs: bound}), request, "r")
		if err != nil {
			t.Fatal(err)
		}
		s.age(t, record.ID, age)
		return record.ID
	}
	taken, release := s.startHolding(t, 2)
	submit("bounded", 1, 0, jobs.Request{})
	running := []string{<-taken}
	submit("bounded", 1, 5000, jobs.Request{}) // no worker may take it
	submit("bounded", 1, 5000, jobs.Request{})
	submit("acme", 0, 0, jobs.Request{})
	holds(append(running, <-taken)...)
	s.wantQueue(t, "default", 0, 2, 0)
	first := submit("acme", 0, 900, jobs.Request{})
	submit("beta", 0, 700, jobs.Request{Priority: jobs.PriorityLow})
	submit("acme", 0, 300, jobs.Request{Priority: jobs.PriorityHigh})
	submit("gamma", 0, 1200, jobs.Request{Environment: "science"})
	submit("beta", 0, 1100, jobs.Request{Environment: "science"})
	batch, err := s.SubmitBatch(as(t, "acme", jobs.TenantLimits{}), newBatchRequest(4), "r")
	if err != nil {
		t.Fatal(err)
	}
	s.wantQueue(t, "default", 7, 2, 900)
	s.wantQueue(t, "science", 2, 0, 1200)
	// What has ended does not wait, although it is still in its flow.
	if _, err := s.Dispatcher.store.Cancel(t.Context(), jobs.OperatorCaller(), first); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CancelBatch(as(t, "acme", jobs.TenantLimits{}), batch.ID); err != nil {
		t.Fatal(err)
	}
	s.wantQueue(t, "default", 2, 2, 700)
	running = nil
	for range 4 { // those that waited and were held
		release <- struct{}{}
		running = append(running, <-taken)
	}
	holds(running[2:]...)
	s.wantQueue(t, "default", 0, 0, 0)
	s.wantQueue(t, "science", 2, 0, 1200)
	// A lost worker whose jobs were ended for it hides none that waits.
	submit("acme", 0, 100, jobs.Request{})
	s.beat(t, "w", -time.Hour, 2, []string{"default"}, running[2:]...)
	for _, id := range running[2:] {
		lost := jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeWorkerLost}}
		if _, err := s.Dispatcher.store.End(t.Context(), id, lost); err != nil {
			t.Fatal(err)
		}
	}
	s.wantQueue(t, "default", 1, 0, 100)
}

// However many of the first jobs of a flow have been cancelled, the next one is the oldest.
func TestTheOldestWaitBehindCancelledJobs(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	var ids []string
	for i := range 120 {
		record, err := s.Submit(as(t, "acme", jobs.TenantLimits{}), jobs.Request{Script: "x", Async: true}, "r")
		if err != nil {
			t.Fatal(err)
		}
		s.age(t, record.ID, 1000-i)
		ids = append(ids, record.ID)
	}
	s.wantQueue(t, "default", 120, 0, 1000)
	for _, id := range ids[:110] {
		if _, err := s.Dispatcher.store.Cancel(t.Context(), jobs.OperatorCaller(), id); err != nil {
			t.Fatal(err)
		}
	}
	s.wantQueue(t, "default", 10, 0, 890)
}
