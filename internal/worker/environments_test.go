package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/redistest"
)

// fakeEnvironments are what a test sets.
type fakeEnvironments struct {
	mu      sync.Mutex
	current []jobs.Environment
	changed chan struct{}
}

func newEnvironments(names ...string) *fakeEnvironments {
	e := &fakeEnvironments{changed: make(chan struct{})}
	e.set(names...)
	return e
}

func (e *fakeEnvironments) set(names ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = []jobs.Environment{{Name: jobs.DefaultEnvironment, Hash: "h0", Python: "3.11.2"}}
	for _, name := range names {
		e.current = append(e.current, jobs.Environment{
			Name: name, Hash: "h" + name, Python: "3.11.2",
			Packages: []jobs.Package{{Name: "scikit-learn", Version: "1.8.0", Imports: []string{"sklearn"}}},
		})
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *fakeEnvironments) Ready() map[string]int {
	current, _ := e.List()
	ready := map[string]int{}
	for i, environment := range current {
		ready[environment.Name] = i
	}
	return ready
}

func (e *fakeEnvironments) List() ([]jobs.Environment, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current, e.changed
}

// submitTo stores and enqueues a job with an environment.
func (b *workerFixture) submitTo(t *testing.T, environment string) string {
	t.Helper()
	job := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "def main(): return 1", Environment: environment}
	if err := b.Store.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if err := b.producer.Enqueue(t.Context(), job.ID, job.Route()); err != nil {
		t.Fatal(err)
	}
	return job.ID
}

func (b *workerFixture) stateOf(t *testing.T, id string) jobs.State {
	t.Helper()
	record, err := b.Store.Get(t.Context(), jobs.OperatorCaller(), id)
	if err != nil {
		t.Fatal(err)
	}
	return record.State
}

// A job waits for a worker that has its environment, and for that one only.
func TestAJobGoesToAWorkerThatHasItsEnvironment(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	plain, science := newFixture(t, url), newFixture(t, url)
	science.Environments = newEnvironments("science")
	plain.start(t)
	id := plain.submitTo(t, "science")
	other := plain.submitTo(t, "")
	within(t, "the default's job ends", func() bool { return plain.stateOf(t, other).Ended() })
	if state := plain.stateOf(t, id); state != jobs.StateQueued {
		t.Fatalf("without a worker that has the environment it is %s", state)
	}
	science.start(t)
	within(t, "the job ends", func() bool { return plain.stateOf(t, id) == jobs.StateSucceeded })
	if n := science.sandboxes.acquired.Load(); n < 1 {
		t.Errorf("the worker with the environment acquired %d sandboxes", n)
	}
}

// A worker that gets an environment takes its jobs at once, and reports it; one that loses it takes them no more.
func TestAWorkerFollowsItsEnvironments(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	environments := newEnvironments()
	b.Environments = environments
	b.start(t)
	within(t, "it is idle", b.reports.isIdle)
	waiting := b.submitTo(t, "science")
	began := time.Now()
	environments.set("science")
	within(t, "the job ends", func() bool { return b.stateOf(t, waiting) == jobs.StateSucceeded })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	known := func(want int) func() bool {
		return func() bool {
			fleet, err := b.Store.Fleet(t.Context())
			return err == nil && len(fleet.Limits("science")) == want
		}
	}
	within(t, "the environment is reported", known(1))
	described, err := b.Store.Environments(t.Context())
	if err != nil || len(described) != 2 {
		t.Errorf("described are %+v, %v", described, err)
	}
	environments.set()
	within(t, "its loss is reported", known(0))
	left := b.submitTo(t, "science")
	again := b.submitTo(t, "")
	within(t, "the default's job ends", func() bool { return b.stateOf(t, again).Ended() })
	if state := b.stateOf(t, left); state != jobs.StateQueued {
		t.Errorf("a job with the environment that is gone is %s", state)
	}
	environments.set("science")
	within(t, "the job that waited ends", func() bool { return b.stateOf(t, left).Ended() })
}

func TestAMissingModuleIsFoundElsewhere(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	if err := b.Store.DescribeEnvironments(context.WithoutCancel(t.Context()), newEnvironments("science").current,
		time.Hour); err != nil {
		t.Fatal(err)
	}
	const found = "available in the environment science; h"
	for message, want := range map[string]string{
		"ModuleNotFoundError: No module named 'sklearn'":                           found,
		"ModuleNotFoundError: No module named 'sklearn.linear_model'":              found,
		"ImportError: Missing optional dependency 'sklearn'.  Use pip":             found,
		"ModuleNotFoundError: No module named 'torch'":                             "h",
		"ImportError: Unable to find a usable engine\n - `Import sklearn` failed.": found,
		"ValueError: No module named 'sklearn'":                                    "h",
		"ModuleNotFoundError: No module named 'sk\nlearn'":                         "h",
	} {
		failure := &jobs.Failure{Code: jobs.CodeException, Message: message, Hint: "h"}
		b.hintAtEnvironments(jobs.Job{}, failure)
		if failure.Hint != want {
			t.Errorf("%q: %q, want %q", message, failure.Hint, want)
		}
	}
	failure := &jobs.Failure{Code: jobs.CodeException, Message: "ModuleNotFoundError: No module named 'sklearn'"}
	b.hintAtEnvironments(jobs.Job{Environment: "science"}, failure)
	if failure.Hint != "" {
		t.Errorf("in that environment itself: %q", failure.Hint)
	}
}

// heldEnvironments makes the first call of List return only after release. others receives at the others.
type heldEnvironments struct {
	*fakeEnvironments
	came                  atomic.Bool
	read, release, others chan struct{}
}

func (e *heldEnvironments) List() (current []jobs.Environment, changed <-chan struct{}) {
	current, changed = e.fakeEnvironments.List()
	if e.came.CompareAndSwap(false, true) {
		close(e.read)
		<-e.release
	}
	select {
	case e.others <- struct{}{}:
	default:
	}
	return current, changed
}

// A full heartbeat with the environments of before ends after they have changed: before the heartbeat that the change
// requests, or after it.
func TestAHeartbeatUnderWayDoesNotHideAChange(t *testing.T) {
	t.Parallel()
	for what, requestedFirst := range map[string]bool{"ends before": false, "ends after": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, redistest.Start(t))
			held := &heldEnvironments{
				fakeEnvironments: newEnvironments(), read: make(chan struct{}), release: make(chan struct{}),
				others: make(chan struct{}, 1),
			}
			b.Environments = held
			var under sync.WaitGroup
			under.Go(func() { _ = b.sendHeartbeat(t.Context()) })
			<-held.read
			ctx, stop := context.WithCancel(t.Context())
			consumer := queue.NewConsumer(b.Client, queue.ConsumerSettings{Concurrency: 1}, b.Handle, b.Logger)
			under.Go(func() { b.followEnvironments(ctx, consumer) })
			<-held.others // it waits for a change
			held.set("science")
			<-b.beatNow
			if requestedFirst {
				if err := b.sendHeartbeat(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			close(held.release)
			under.Wait()
			if err := b.sendHeartbeat(t.Context()); err != nil {
				t.Fatal(err)
			}
			fleet, err := b.Store.Fleet(t.Context())
			if err != nil || len(fleet.Limits("science")) != 1 {
				t.Errorf("Redis has %+v, %v", fleet, err)
			}
			if described, err := b.Store.Environments(t.Context()); err != nil || len(described) != 2 {
				t.Errorf("described are %+v, %v", described, err)
			}
			if !b.reports.isIdle() {
				t.Error("the next heartbeat is a full one again")
			}
		})
	}
}

// A description that failed is repeated with the next heartbeat.
func TestAFailedDescriptionIsRepeated(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.Environments = newEnvironments("science")
	const descriptions = "{cellblock:workers}:descriptions"
	if err := b.Client.Set(t.Context(), descriptions, "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.sendHeartbeat(t.Context()); err == nil {
		t.Error("the environments are described in a text")
	}
	if err := b.Client.Del(t.Context(), descriptions).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.sendHeartbeat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if described, err := b.Store.Environments(t.Context()); err != nil || len(described) != 2 {
		t.Errorf("described are %+v, %v", described, err)
	}
}
