package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// workerFixture is one worker with its surroundings.
type workerFixture struct {
	*Worker
	sandboxes *fakeSandboxes
	metrics   *fakeMetrics
	producer  *queue.Producer
}

func newFixture(t *testing.T, url string) *workerFixture {
	t.Helper()
	client := redistest.Client(t, url)
	b := &workerFixture{
		sandboxes: &fakeSandboxes{wall: 20 * time.Second}, metrics: &fakeMetrics{},
		producer: queue.NewProducer(client),
	}
	b.Worker = New(Config{
		Settings: Settings{Concurrency: 2, EndPatience: 20 * time.Second, DrainTimeout: 20 * time.Second},
		Wall:     b.sandboxes.wall,
		Client:   client,
		Store:    store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour}),
		Acquire:  b.sandboxes.acquire,
		Metrics:  b.metrics,
		Logger:   slog.New(slog.DiscardHandler),
	})
	b.heartbeatInterval, b.livenessTTL = 100*time.Millisecond, 400*time.Millisecond
	t.Cleanup(func() {
		b.cancelRuns()
		b.cancelStores()
		if err := b.metrics.check(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// start runs the worker until stop is called, at the latest at the end of the test.
func (b *workerFixture) start(t *testing.T) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// create stores a job without enqueueing it.
func (b *workerFixture) create(t *testing.T, script string) string {
	t.Helper()
	id := jobs.NewID()
	if err := b.Store.Create(t.Context(), jobs.Job{Tenant: jobs.Operator, ID: id, Script: script}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *workerFixture) submit(t *testing.T, script string) string {
	t.Helper()
	id := b.create(t, script)
	if err := b.producer.Enqueue(t.Context(), id, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (b *workerFixture) get(t *testing.T, id string) jobs.Record {
	t.Helper()
	record, err := b.Store.Get(t.Context(), jobs.OperatorCaller(), id)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// await polls a job until it is in a state that want accepts.
func (b *workerFixture) await(t *testing.T, id string, want func(jobs.State) bool) jobs.Record {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		// The test itself may have stopped Redis.
		if record, err := b.Store.Get(t.Context(), jobs.OperatorCaller(), id); err == nil && want(record.State) {
			return record
		}
	}
	t.Fatalf("job %s is not where it should be", id)
	return jobs.Record{}
}

func running(s jobs.State) bool { return s == jobs.StateRunning }

// deliver delivers a job to the worker as the queue would.
func (b *workerFixture) deliver(t *testing.T, id string, attempt int) error {
	t.Helper()
	return b.Handle(t.Context(), queue.Delivery{ID: id, Attempt: attempt})
}

func (b *workerFixture) wantRuns(t *testing.T, runs, discards int64) {
	t.Helper()
	if ran, discarded := b.sandboxes.ran.Load(), b.sandboxes.discarded.Load(); ran != runs || discarded != discards {
		t.Errorf("%d runs and %d discarded sandboxes, want %d and %d", ran, discarded, runs, discards)
	}
}

func (b *workerFixture) wantFailure(t *testing.T, id string, code jobs.Code) {
	t.Helper()
	record := b.get(t, id)
	if record.Outcome == nil || record.Outcome.Failure == nil || record.Outcome.Failure.Code != code {
		t.Errorf("got %+v, want %s", record, code)
	}
}

func TestJobsAreRunAndTheirEndsStored(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.start(t)
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = b.submit(t, fmt.Sprintf("def main():\n    print('hi')\n    return {'n': %d.0}", i))
	}
	for i, id := range ids {
		record := b.await(t, id, jobs.State.Ended)
		if record.State != jobs.StateSucceeded || string(record.Outcome.Result) != fmt.Sprintf(`{"n": %d.0}`, i) ||
			record.Outcome.Stdout != "hi\n" {
			t.Fatalf("got %+v %+v", record, record.Outcome)
		}
		usage := record.Outcome.Usage
		if usage.RunMS <= 0 || usage.QueuedMS < 0 ||
			usage.QueuedMS > jobs.Milliseconds(record.StartedAt.Sub(record.CreatedAt)) {
			t.Errorf("usage is %+v", usage)
		}
	}
	failing := b.await(t, b.submit(t, "def main():\n    raise ValueError('no')"), jobs.State.Ended)
	if failing.State != jobs.StateFailed || !strings.Contains(failing.Outcome.Failure.Traceback, "ValueError: no") {
		t.Errorf("got %+v", failing.Outcome.Failure)
	}
	b.wantRuns(t, 13, 0)
}

func TestAWorkerIsAliveWhileItRuns(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	stop := b.start(t)
	live := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			n, err := b.Store.LiveWorkers(t.Context())
			if err == nil && n == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d workers live, %v, want %d", n, err, want)
			}
		}
	}
	live(1)
	time.Sleep(2 * b.livenessTTL)
	live(1)
	if err := stop(); err != nil {
		t.Error(err)
	}
	live(0)
}

// Another delivery may start the job while this one tries to make a sandbox: then that one stores
// the end.
func TestAJobWithoutASandboxIsLeftToTheDeliveryThatStartedIt(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.create(t, "def main(): pass")
	b.sandboxes.fail = func() error {
		_, err := b.Store.ClaimStart(t.Context(), id, "another", "another worker", time.Minute)
		return errors.Join(errors.New("no sandbox"), err)
	}
	if err := b.deliver(t, id, acquireAttempts-1); err != nil {
		t.Error(err)
	}
	if record := b.get(t, id); record.State != jobs.StateRunning || record.Outcome != nil {
		t.Errorf("got %+v, want a running job", record)
	}
}

func TestEndedJobIsNotRun(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.create(t, "def main(): pass")
	if _, err := b.Store.Withdraw(t.Context(), id, failure(jobs.CodeUnavailable, "withdrawn")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{id, jobs.NewID()} {
		if err := b.deliver(t, id, 0); err != nil {
			t.Error(err)
		}
	}
	if n := b.sandboxes.acquired.Load(); n != 0 {
		t.Errorf("%d sandboxes were made", n)
	}
}

func TestAPanicEndsTheJob(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	id := b.create(t, "panic")
	if err := b.deliver(t, id, 0); err != nil {
		t.Error(err)
	}
	b.wantFailure(t, id, jobs.CodeInternal)
}

func TestWithoutSandboxesAJobIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.sandboxes.fail = func() error { return errors.New("no room") }
	id := b.create(t, "def main(): pass")
	for attempt := range acquireAttempts - 1 {
		if err := b.deliver(t, id, attempt); err == nil || errors.Is(err, queue.ErrHeld) {
			t.Errorf("attempt %d: %v", attempt, err)
		}
		if state := b.get(t, id).State; state != jobs.StateQueued {
			t.Errorf("attempt %d: the job is %s", attempt, state)
		}
	}
	if err := b.deliver(t, id, acquireAttempts-1); err != nil {
		t.Error(err)
	}
	b.wantFailure(t, id, jobs.CodeInternal)
	if message := b.get(t, id).Outcome.Failure.Message; strings.Contains(message, "no room") {
		t.Errorf("the message has the cause: %s", message)
	}
}

func TestAJobRunsOnceASandboxIsThere(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.sandboxes.fail = func() error {
		if b.sandboxes.acquired.Load() == 1 {
			return errors.New("no room")
		}
		return nil
	}
	b.start(t)
	start := time.Now()
	id := b.submit(t, "def main(): return 1")
	if record := b.await(t, id, jobs.State.Ended); record.State != jobs.StateSucceeded {
		t.Errorf("got %+v", record)
	}
	t.Logf("after %s", time.Since(start))
}

func TestStopWaitsForRunningJobs(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	stop := b.start(t)
	id := b.submit(t, "def main():\n    import time\n    time.sleep(1)\n    return 1")
	b.await(t, id, running)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if record := b.get(t, id); record.State != jobs.StateSucceeded {
		t.Errorf("got %+v", record)
	}
}

// A draining worker still counts as alive, or its jobs would end as lost; but it is not a worker
// that a waiting job can hope for.
func TestADrainingWorkerIsAliveButTakesNoJobs(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	stop := b.start(t)
	id := b.submit(t, "def main():\n    import time\n    time.sleep(3)\n    return 1")
	b.await(t, id, running)
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n, err := b.Store.LiveWorkers(t.Context())
		if err == nil && n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d workers count, %v", n, err)
		}
	}
	if alive, err := b.Store.WorkerAlive(t.Context(), b.owner); err != nil || !alive {
		t.Errorf("it lives: %t, %v", alive, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if record := b.get(t, id); record.State != jobs.StateSucceeded {
		t.Errorf("got %+v", record)
	}
	if n := b.Client.Exists(t.Context(), "cellblock:workers", "{cellblock:workers}:held",
		"{cellblock:workers}:draining").Val(); n != 0 {
		t.Errorf("%d keys are left of it", n)
	}
}

func TestJobsBeyondDrainTimeoutEndAsWorkerLost(t *testing.T) {
	t.Parallel()
	b := newFixture(t, redistest.Start(t))
	b.Settings.DrainTimeout = 300 * time.Millisecond
	stop := b.start(t)
	id := b.submit(t, "def main():\n    import time\n    time.sleep(15)")
	b.await(t, id, running)
	start := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	b.wantFailure(t, id, jobs.CodeWorkerLost)
}

// countingScript returns a script that counts its runs in a file, and a function that reads the
// count.
func countingScript(t *testing.T, sleep time.Duration) (script string, runs func() int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runs")
	script = fmt.Sprintf("def main():\n    import time\n    open(%q, 'a').write('x')\n    time.sleep(%f)\n    return 1",
		path, sleep.Seconds())
	return script, func() int {
		content, _ := os.ReadFile(path)
		return len(content)
	}
}
