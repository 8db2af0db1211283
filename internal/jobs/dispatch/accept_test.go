package dispatch

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func requestWithKey(key, fingerprint string) jobs.Request {
	return jobs.Request{Script: "x", Async: true, IdempotencyKey: key, Fingerprint: fingerprint}
}

func TestAnIdempotencyKeyIsOneJob(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	replicas := []*replica{newReplica(t, url), newReplica(t, url)}
	ids := make(chan string, 20)
	var all sync.WaitGroup
	for i := range cap(ids) {
		all.Go(func() {
			record, err := replicas[i%2].Submit(t.Context(), requestWithKey("k", "f"), "r")
			if err != nil {
				t.Error(err)
			}
			ids <- record.ID
		})
	}
	all.Wait()
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("two jobs: %s and %s", first, id)
		}
	}
	replicas[0].wantWaiting(t, 1)
	_, err := replicas[0].Submit(t.Context(), requestWithKey("k", "another"), "r")
	wantCode(t, err, jobs.CodeIdempotencyMismatch)
	if record, err := replicas[0].Submit(t.Context(), requestWithKey("k2", "f"), "r"); err != nil ||
		record.ID == first {
		t.Errorf("another key: %+v, %v", record, err)
	}
}

func TestARepeatedRequestGetsTheResultOfTheFirst(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.startWorker(t, time.Minute, echo)
	request := requestWithKey("k", "f")
	request.Async = false
	first, err := s.Execute(t.Context(), request, "r", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Execute(t.Context(), request, "r", 10*time.Second)
	if err != nil || again.ID != first.ID || string(again.Outcome.Result) != `"x"` {
		t.Errorf("got %+v, %v", again, err)
	}
	keys := s.client.Keys(t.Context(), "cellblock:*:idempotency").Val()
	if len(keys) != 1 {
		t.Fatalf("%d records", len(keys))
	}
	// The idempotency record lives as long as the job's.
	record, job := s.client.PTTL(t.Context(), keys[0]).Val(), s.client.PTTL(t.Context(),
		"cellblock:{"+first.ID+"}:job").Val()
	if record < job-time.Second || record > job+time.Second {
		t.Errorf("the record lives for %s more, the job for %s", record, job)
	}
}

// A job that never ran does not keep its key bound.
func TestAWithdrawnJobFreesItsKey(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	request := requestWithKey("k", "f")
	request.Async, request.StartWithin = false, 100*time.Millisecond
	first, err := s.Execute(t.Context(), request, "r", 300*time.Millisecond)
	if err != nil || first.Outcome == nil || first.Outcome.Failure.Code != jobs.CodeNotStarted {
		t.Fatalf("got %+v, %v", first, err)
	}
	s.startWorker(t, time.Minute, echo)
	if again, err := s.Execute(t.Context(), request, "r", 10*time.Second); err != nil || again.ID == first.ID {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.settings.QueueLimit = 10
	// Wait for a first measurement before any job ends, so that there is a rate.
	for s.pressure.Load().at.IsZero() {
		time.Sleep(time.Millisecond)
	}
	async := jobs.Request{Script: "x", Async: true}
	for range 9 {
		if _, err := s.Submit(t.Context(), async, "r"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Submit(t.Context(), async, "r")
	wantCode(t, err, jobs.CodeQueueFull)
	var refused *jobs.Error
	if errors.As(err, &refused) && refused.RetryAfterSeconds != mostRetryAfter {
		t.Errorf("Retry-After %d, while nothing drains", refused.RetryAfterSeconds)
	}
	// The last tenth is for synchronous requests.
	if _, err := s.Execute(t.Context(), jobs.Request{Script: "x"}, "r", 10*time.Millisecond); err != nil {
		t.Error(err)
	}
	_, err = s.Execute(t.Context(), jobs.Request{Script: "x"}, "r", 10*time.Millisecond)
	wantCode(t, err, jobs.CodeQueueFull)
	s.startWorker(t, time.Minute, echo)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := s.store.CountUsage(t.Context(), 1); err != nil { // as the reaper does each second
			t.Fatal(err)
		}
		load, err := s.store.ReadLoad(t.Context())
		if err == nil && load.Open == 0 && s.retryAfter() < mostRetryAfter {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the queue does not drain: %+v, %v", load, err)
		}
	}
	if _, err := s.Submit(t.Context(), async, "r"); err != nil {
		t.Error(err)
	}
}

func TestRefusingBeginsBelowMaxmemory(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	ctx := t.Context()
	used, _ := s.store.ReadLoad(ctx)
	if err := s.client.ConfigSet(ctx, "maxmemory", strconv.FormatInt(used.UsedMemory*5/4, 10)).Err(); err != nil {
		t.Fatal(err)
	}
	s.measure(ctx)
	_, err := s.Submit(ctx, jobs.Request{Script: "x", Async: true}, "r")
	wantCode(t, err, jobs.CodeQueueFull)
}

// TestLargeInputsNeedMemoryOfRedis: a request that would fill Redis's memory is refused before the next measurement of
// it.
func TestLargeInputsNeedMemoryOfRedis(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	ctx := t.Context()
	used, _ := s.store.ReadLoad(ctx)
	if err := s.client.ConfigSet(ctx, "maxmemory",
		strconv.FormatInt((used.UsedMemory+4<<20)*4/3, 10)).Err(); err != nil {
		t.Fatal(err)
	}
	s.measure(ctx)
	request := jobs.Request{
		Script: "x", Async: true,
		Inputs: &jobs.Inputs{Files: []jobs.File{{Path: "a", Content: make([]byte, 8<<20)}}},
	}
	_, err := s.Submit(ctx, request, "r")
	wantCode(t, err, jobs.CodeQueueFull)
	request.Inputs.Files[0].Content = request.Inputs.Files[0].Content[:1<<20]
	if _, err := s.Submit(ctx, request, "r"); err != nil {
		t.Error(err)
	}
}

func TestCancelAndList(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	var ids []string
	for range 3 {
		record, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true}, "r")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, record.ID)
	}
	for range 2 {
		if record, err := s.Cancel(t.Context(), ids[1]); err != nil || record.State != jobs.StateCancelled {
			t.Errorf("got %+v, %v", record, err)
		}
	}
	page, err := s.List(t.Context(), jobs.ListQuery{Limit: 2})
	if err != nil || len(page.Jobs) != 2 || page.Jobs[0].ID != ids[2] || page.Jobs[1].State != jobs.StateCancelled ||
		page.Next != ids[1] {
		t.Fatalf("got %+v, %v", page, err)
	}
	page, err = s.List(t.Context(), jobs.ListQuery{Limit: 2, Before: page.Next})
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].ID != ids[0] || page.Next != "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	page, err = s.List(t.Context(), jobs.ListQuery{Limit: 2, State: jobs.StateCancelled})
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].ID != ids[1] {
		t.Fatalf("got %+v, %v", page, err)
	}
	s.startWorker(t, time.Minute, echo)
	if record, err := s.Get(t.Context(), ids[0], 10*time.Second); err != nil || record.State != jobs.StateSucceeded {
		t.Fatalf("got %+v, %v", record, err)
	}
	_, err = s.Cancel(t.Context(), ids[0])
	wantCode(t, err, jobs.CodeAlreadyFinished)
	_, err = s.Cancel(t.Context(), jobs.NewID())
	wantCode(t, err, jobs.CodeNotFound)
}

// TestInputsAreNotHeldWhileAJobIsWaitedFor: inputs may be large, and many requests may wait.
func TestInputsAreNotHeldWhileAJobIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.settings.NoWorkerGrace = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	stored, freed := make(chan struct{}), make(chan struct{})
	request := func() jobs.Request {
		inputs := &jobs.Inputs{Files: []jobs.File{{Path: "a", Content: make([]byte, 1<<20)}}}
		runtime.AddCleanup(inputs, func(struct{}) { close(freed) }, struct{}{})
		return jobs.Request{Script: "x", Inputs: inputs, StartWithin: time.Minute}
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, _, err := s.Dispatcher.Execute(byOperator(ctx), request(), "r",
			time.Minute, func() { close(stored) }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	defer waiting.Wait()
	defer cancel()
	await := func(what string, event <-chan struct{}) {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.GC() {
			select {
			case <-event:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		t.Errorf("the inputs are not %s", what)
	}
	await("stored", stored)
	await("given up", freed)
}

// A repeated submission takes no memory for the result of its job.
func TestARepeatedSubmissionHoldsNothing(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	request := requestWithKey("k", "f")
	first, err := s.Submit(t.Context(), request, "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.End(t.Context(), first.ID,
		jobs.Outcome{Result: jsontext.Value(`"` + strings.Repeat("x", 700<<10) + `"`)}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if again, err := s.Submit(t.Context(), request, "r"); err != nil || again.ID != first.ID ||
			again.State != jobs.StateSucceeded || again.Outcome != nil {
			t.Errorf("got %s %s, outcome %v, %v", again.ID, again.State, again.Outcome != nil, err)
		}
	}
	if !s.budget.Idle() {
		t.Error("memory is lost")
	}
}
