package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/membudget"
	"cellblock/internal/notify"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// replica is one API replica connected to a Redis.
type replica struct {
	*Dispatcher
	url    string
	client redis.UniversalClient
	store  *store.Store
	budget *membudget.Budget
	// agedFrom is when the ages of jobs count from, Redis's time; see age.
	agedFrom time.Time
}

var quiet = slog.New(slog.DiscardHandler)

func newReplica(t *testing.T, url string, change ...func(*Settings)) *replica {
	t.Helper()
	client := redistest.Client(t, url)
	monitor := redistest.Monitor(t, url)
	budget := membudget.New(1<<20, 2*time.Second)
	s := store.New(monitor.Client(),
		store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Minute}).WithBudget(budget)
	settings := Settings{
		SyncWait: 15 * time.Second, NoWorkerGrace: 3 * time.Second, StartDeadline: time.Hour,
		QueueLimit: 1000,
	}
	for _, f := range change {
		f(&settings)
	}
	d := New(s, queue.NewProducer(monitor.Client()), client, notify.NewChannel(), monitor, settings, quiet)
	t.Cleanup(func() {
		d.Close()
	})
	return &replica{Dispatcher: d, url: url, client: client, store: s, budget: budget}
}

// keepWorkerAlive keeps one worker alive for the whole test.
func (s *replica) keepWorkerAlive(t *testing.T) {
	t.Helper()
	if err := s.store.Heartbeat(t.Context(), "w", time.Hour, store.Offer{}); err != nil {
		t.Fatal(err)
	}
}

// startWorker starts a worker that claims the start of each job with a wall limit and ends it with the outcome of run.
func (s *replica) startWorker(t *testing.T, wall time.Duration, run func(job jobs.Job) jobs.Outcome) {
	t.Helper()
	s.keepWorkerAlive(t)
	client := redistest.Client(t, s.url)
	at := store.New(client, store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Minute})
	consumer := queue.NewConsumer(client, queue.ConsumerSettings{Concurrency: 8, ShutdownTimeout: 10 * time.Second},
		func(ctx context.Context, d queue.Delivery) error {
			ctx = context.WithoutCancel(ctx)
			job, _, err := at.Load(ctx, d.ID)
			if err != nil {
				return err
			}
			if holder, err := at.ClaimStart(ctx, d.ID, "t", "w", wall); err != nil || holder.Ended {
				return err
			}
			outcome := run(job)
			deadline := time.Now().Add(10 * time.Second)
			for ; time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				if _, err = at.End(ctx, d.ID, outcome); err == nil {
					break
				}
			}
			return err
		}, quiet)
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = consumer.Stop() })
}

// echo returns the script as the result.
func echo(job jobs.Job) jobs.Outcome {
	return jobs.Outcome{Result: jsontext.Value(strconv.Quote(job.Script))}
}

func (s *replica) execute(t *testing.T, script string, wait time.Duration) (jobs.Record, error) {
	t.Helper()
	return s.Execute(context.WithoutCancel(t.Context()), jobs.Request{Script: script}, "r-1", wait)
}

func wantCode(t *testing.T, err error, want jobs.Code) {
	t.Helper()
	var known *jobs.Error
	if !errors.As(err, &known) || known.Code != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	if want == jobs.CodeUnavailable && known.RetryAfterSeconds != 5 {
		t.Errorf("RetryAfterSeconds is %d", known.RetryAfterSeconds)
	}
}

// wantDuration checks how long something took; the upper bound allows for a busy machine.
func wantDuration(t *testing.T, start time.Time, least, most time.Duration) {
	t.Helper()
	if took := time.Since(start); took < least || took > most {
		t.Errorf("took %s, want %s to %s", took, least, most)
	}
}

func TestExecuteReturnsTheResult(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.startWorker(t, time.Second, echo)
	var took []time.Duration
	for i := range 50 {
		start := time.Now()
		record, err := s.execute(t, strconv.Itoa(i), 10*time.Second)
		took = append(took, time.Since(start))
		if err != nil || record.State != jobs.StateSucceeded ||
			string(record.Outcome.Result) != strconv.Quote(strconv.Itoa(i)) {
			t.Fatalf("got %+v, %v", record, err)
		}
	}
	slices.Sort(took)
	t.Logf("a job that does nothing: median %s, 95%% %s", took[25], took[47])
	if took[25] > recheckInterval/2 {
		t.Error("the ends are polled, not notified")
	}
}

func TestConcurrentRequestsGetTheirOwnResults(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.startWorker(t, time.Second, echo)
	s.startWorker(t, time.Second, echo)
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			record, err := s.execute(t, strconv.Itoa(i), 20*time.Second)
			if err != nil || record.Outcome == nil || string(record.Outcome.Result) != strconv.Quote(strconv.Itoa(i)) {
				t.Errorf("%d: got %+v, %v", i, record, err)
			}
		})
	}
	calls.Wait()
	if ids := s.waiters.Keys(); len(ids) != 0 {
		t.Errorf("%d waiters are left", len(ids))
	}
}

func TestExecuteReturnsAQueuedJobAtTheEndOfItsWait(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.keepWorkerAlive(t)
	start := time.Now()
	record, err := s.execute(t, "x", 300*time.Millisecond)
	wantDuration(t, start, 300*time.Millisecond, time.Second)
	if err != nil || record.State != jobs.StateQueued || record.ID == "" {
		t.Fatalf("got %+v, %v", record, err)
	}
	s.wantWaiting(t, 1)
}

func TestExecuteWaitsForANearDeadline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		wall, wait  time.Duration
		ends        time.Duration // after the start claim
		least, most time.Duration
		state       jobs.State
	}{
		{
			name: "near", wall: 1200 * time.Millisecond, ends: 1250 * time.Millisecond, wait: 500 * time.Millisecond,
			least: 1250 * time.Millisecond, most: 1700 * time.Millisecond, state: jobs.StateFailed,
		},
		{
			name: "far", wall: 3 * time.Second, ends: 2 * time.Second, wait: 500 * time.Millisecond,
			least: 500 * time.Millisecond, most: 1000 * time.Millisecond, state: jobs.StateRunning,
		},
		{
			name: "overdue", wall: 700 * time.Millisecond, ends: 3 * time.Second, wait: 500 * time.Millisecond,
			least: 1100 * time.Millisecond, most: 1700 * time.Millisecond, state: jobs.StateRunning,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newReplica(t, redistest.Start(t))
			s.startWorker(t, c.wall, func(jobs.Job) jobs.Outcome {
				time.Sleep(c.ends)
				return jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeTimeout}}
			})
			start := time.Now()
			record, err := s.execute(t, "x", c.wait)
			wantDuration(t, start, c.least, c.most)
			if err != nil || record.State != c.state {
				t.Errorf("got %+v, %v, want %s", record, err, c.state)
			}
		})
	}
}

func TestExecuteWithoutWorkers(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	start := time.Now()
	record, err := s.execute(t, "x", 15*time.Second)
	wantDuration(t, start, 3*time.Second, 4500*time.Millisecond)
	wantCode(t, err, jobs.CodeUnavailable)
	withdrawn, err := s.Get(t.Context(), record.ID, 0)
	if err != nil || withdrawn.State != jobs.StateCancelled || withdrawn.Outcome.Failure.Code != jobs.CodeUnavailable {
		t.Errorf("got %+v, %v", withdrawn, err)
	}
}

// Draining workers do not count: they only finish the jobs that they have.
func TestExecuteWhileAllWorkersDrain(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.settings.NoWorkerGrace = 100 * time.Millisecond
	s.keepWorkerAlive(t)
	if err := s.store.MarkDraining(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	_, err := s.execute(t, "x", 15*time.Second)
	wantCode(t, err, jobs.CodeUnavailable)
}

func TestExecuteWhenAWorkerComesInTime(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	result := make(chan error)
	go func() {
		record, err := s.execute(t, "x", 15*time.Second)
		if err == nil && record.State != jobs.StateSucceeded {
			err = fmt.Errorf("it is %s", record.State)
		}
		result <- err
	}()
	time.Sleep(2 * time.Second)
	s.startWorker(t, time.Second, echo)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// A job that was not started within the grace is kept while a worker is alive.
func TestExecuteBehindABusyWorker(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.settings.NoWorkerGrace = 100 * time.Millisecond
	s.keepWorkerAlive(t)
	record, err := s.execute(t, "x", 1500*time.Millisecond)
	if err != nil || record.State != jobs.StateQueued {
		t.Errorf("got %+v, %v", record, err)
	}
}

func TestTheJobGoesOnWithoutItsClient(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	started, finish := make(chan struct{}), make(chan struct{})
	s.startWorker(t, time.Minute, func(job jobs.Job) jobs.Outcome {
		close(started)
		<-finish
		return echo(job)
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-started; leave() }()
	record, err := s.Execute(ctx, jobs.Request{Script: "x"}, "r-1", 15*time.Second)
	if !errors.Is(err, context.Canceled) || record.ID == "" {
		t.Fatalf("got %+v, %v", record, err)
	}
	close(finish)
	record, err = s.Get(t.Context(), record.ID, 10*time.Second)
	if err != nil || record.State != jobs.StateSucceeded {
		t.Errorf("got %+v, %v", record, err)
	}
}

func TestSubmitAndGet(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	s, other := newReplica(t, url), newReplica(t, url)
	accepted, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true}, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	id := accepted.ID
	if record, err := s.Get(t.Context(), id, 0); err != nil || record.State != jobs.StateQueued {
		t.Fatalf("got %+v, %v", record, err)
	}
	start := time.Now()
	if record, err := s.Get(t.Context(), id, 200*time.Millisecond); err != nil || record.State != jobs.StateQueued {
		t.Fatalf("got %+v, %v", record, err)
	}
	wantDuration(t, start, 200*time.Millisecond, time.Second)
	s.startWorker(t, time.Second, func(job jobs.Job) jobs.Outcome {
		time.Sleep(300 * time.Millisecond)
		return echo(job)
	})
	// The other replica gets no message; it finds the end by its periodic check.
	for _, replica := range []*replica{s, other} {
		if record, err := replica.Get(t.Context(), id, 10*time.Second); err != nil ||
			record.State != jobs.StateSucceeded {
			t.Errorf("got %+v, %v", record, err)
		}
	}
	_, err = s.Get(t.Context(), jobs.NewID(), time.Second)
	wantCode(t, err, jobs.CodeNotFound)
}

func TestReadyCountsWorkers(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	if n, err := s.Ready(t.Context()); err != nil || n != 0 {
		t.Errorf("got %d, %v", n, err)
	}
	s.keepWorkerAlive(t)
	if n, err := s.Ready(t.Context()); err != nil || n != 1 {
		t.Errorf("got %d, %v", n, err)
	}
}
