package dispatch

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestWithoutRedisEverythingIsUnavailableInTime(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*testing.T, *redistest.Far){
		"gone":    func(_ *testing.T, r *redistest.Far) { r.Kill() },
		"frozen":  func(_ *testing.T, r *redistest.Far) { _ = r.Freeze() },
		"cut off": func(t *testing.T, r *redistest.Far) { t.Helper(); r.Disturb(t, "timeout", `"timeout": 0`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.StartFar(t)
			s := newReplica(t, server.FarURL())
			if _, err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			stop(t, server)
			t.Cleanup(server.Kill) // so that the dispatcher closes at once
			for call, try := range map[string]func() error{
				"Execute": func() error { _, err := s.execute(t, "x", 15*time.Second); return err },
				"Submit": func() error {
					_, err := s.Submit(t.Context(), jobs.Request{Script: "x"}, "r-1")
					return err
				},
				"Get":   func() error { _, err := s.Get(t.Context(), jobs.NewID(), 0); return err },
				"Ready": func() error { _, err := s.Ready(t.Context()); return err },
			} {
				start := time.Now()
				err := try()
				if took := time.Since(start); took > 1500*time.Millisecond {
					t.Errorf("%s took %s", call, took)
				}
				wantCode(t, err, jobs.CodeUnavailable)
			}
		})
	}
}

// The second look at the workers before a refusal neither waits for a Redis that is silent nor for another look longer
// than its own request does.
func TestTheSecondLookAtTheWorkersIsBounded(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	s := newReplica(t, server.URL())
	s.awaitFleet(t, "that there is no worker", func(f *fleet) bool { return !f.readAt.IsZero() })
	if err := s.fleetTurn.Acquire(t.Context(), 1); err != nil { // as another look that takes long
		t.Fatal(err)
	}
	time.Sleep(rereadPause)
	look := func(ctx context.Context) time.Duration {
		began := time.Now()
		_, _, err := s.chooseEnvironment(ctx, jobs.Request{Script: "x", Environment: "science"}, jobs.TenantLimits{})
		wantCode(t, err, jobs.CodeUnavailable)
		return time.Since(began)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if took := look(short); took > time.Second {
		t.Errorf("a request with 100 ms waited %s for another's look", took)
	}
	_ = server.Freeze()
	t.Cleanup(server.Kill) // so that the dispatcher closes at once
	if took := look(t.Context()); took > 2*time.Second {
		t.Errorf("while Redis is silent a request waited %s for another's look", took)
	}
	s.fleetTurn.Release(1)
	if took := look(t.Context()); took > 2*time.Second {
		t.Errorf("while Redis is silent it took %s", took)
	}
	next := *s.fleet.Load()
	next.silent = time.Now()
	s.fleet.Store(&next)
	if took := look(t.Context()); took > rereadPause/2 {
		t.Errorf("right after Redis was silent it took %s", took)
	}
}

func TestALostMessageIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.startWorker(t, time.Second, func(job jobs.Job) jobs.Outcome {
		// No message will be published at this job's end.
		s.client.HSet(t.Context(), "cellblock:{"+job.ID+"}:job", "reply_to", "")
		return echo(job)
	})
	start := time.Now()
	record, err := s.execute(t, "x", 10*time.Second)
	if err != nil || record.State != jobs.StateSucceeded {
		t.Fatalf("got %+v, %v", record, err)
	}
	wantDuration(t, start, 0, 2*recheckInterval)
}

func TestALostSubscriptionIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.startWorker(t, time.Second, func(job jobs.Job) jobs.Outcome {
		if n := s.client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Val(); n == 0 {
			t.Error("nobody was subscribed")
		}
		return echo(job)
	})
	for range 3 {
		start := time.Now()
		record, err := s.execute(t, "x", 10*time.Second)
		if err != nil || record.State != jobs.StateSucceeded {
			t.Fatalf("got %+v, %v", record, err)
		}
		wantDuration(t, start, 0, 2*recheckInterval)
		time.Sleep(300 * time.Millisecond) // until it is subscribed again
	}
}

func TestARestartOfRedisIsWaitedOut(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	s := newReplica(t, server.URL())
	started, finish := make(chan struct{}), make(chan struct{})
	s.startWorker(t, time.Minute, func(job jobs.Job) jobs.Outcome {
		close(started)
		<-finish
		return echo(job)
	})
	result := make(chan jobs.Record, 1)
	go func() {
		record, err := s.execute(t, "x", 20*time.Second)
		if err != nil {
			t.Error(err)
		}
		result <- record
	}()
	<-started
	server.Kill()
	time.Sleep(1500 * time.Millisecond) // a check fails meanwhile
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	close(finish)
	if record := <-result; record.State != jobs.StateSucceeded {
		t.Errorf("got %+v", record)
	}
}

// failingRead fails the first read of a record.
type failingRead struct{ failed *atomic.Bool }

func (f failingRead) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f failingRead) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (f failingRead) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any("webhook_state")) && !f.failed.Swap(true) {
			cmd.SetErr(syscall.ECONNREFUSED)
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

// The end is notified without the record, and the connection to read it is refused: the result still comes.
func TestAnEndThatCannotBeReadIsReadLater(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	var failed atomic.Bool
	s.monitor.Client().AddHook(failingRead{&failed})
	s.startWorker(t, time.Second, echo)
	record, err := s.execute(t, strings.Repeat("x", 48<<10), 10*time.Second)
	if err != nil || record.State != jobs.StateSucceeded || !failed.Load() {
		t.Errorf("got %+v, %v", record, err)
	}
}

// slowRedis delays every command once it is slow.
type slowRedis struct {
	failingRead

	delay *atomic.Int64
}

func (s slowRedis) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		select {
		case <-time.After(time.Duration(s.delay.Load())):
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// With a slow Redis, the last reads of a wait take at most Settings.Patience together.
func TestAWaitEndsInTimeWhereRedisIsSlow(t *testing.T) {
	t.Parallel()
	const patience = 3 * time.Second
	s := newReplica(t, redistest.Start(t), func(settings *Settings) { settings.Patience = patience })
	s.keepWorkerAlive(t)
	var delay atomic.Int64
	s.monitor.Client().AddHook(slowRedis{delay: &delay})
	// So that Redis knows the scripts, and each is one command.
	if _, err := s.execute(t, "x", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	const wait = 500 * time.Millisecond
	time.AfterFunc(wait/2, func() { delay.Store(int64(patience * 2 / 3)) })
	_, err := s.execute(t, "x", wait)
	wantCode(t, err, jobs.CodeUnavailable)
	wantDuration(t, start, wait, wait+patience+time.Second)
}

// The transfer of a large result over a slow link does not count against that patience.
func TestALargeResultAtTheEndOfAWaitIsTransferred(t *testing.T) {
	t.Parallel()
	const patience, wait = time.Second, 300 * time.Millisecond
	far := redistest.StartFar(t)
	s := newReplica(t, far.FarURL(), func(settings *Settings) { settings.Patience = patience })
	s.url = far.URL() // the worker is near
	large := jsontext.Value(strconv.Quote(strings.Repeat("x", 900<<10)))
	s.startWorker(t, wait, func(jobs.Job) jobs.Outcome { // its wall deadline is in the overtime
		time.Sleep(wait * 3 / 2)
		return jobs.Outcome{Result: large}
	})
	far.Disturb(t, "bandwidth", `"rate": 500`) // kB a second
	start := time.Now()
	record, err := s.execute(t, "x", wait)
	if err != nil || record.State != jobs.StateSucceeded || len(record.Outcome.Result) != len(large) {
		t.Fatalf("got %s, %v", record.State, err)
	}
	if took := time.Since(start); took < wait+patience {
		t.Errorf("took %s: the transfer was not slow", took)
	}
}
