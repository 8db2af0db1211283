package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func newBatchRequest(n int) jobs.BatchRequest {
	request := jobs.BatchRequest{Items: make([]jobs.ItemRequest, n)}
	for i := range request.Items {
		request.Items[i].Request = jobs.Request{
			Script: fmt.Sprintf("def main(): return %d", i), Async: true,
			Priority: jobs.PriorityBatch,
		}
	}
	return request
}

func (s *replica) submitBatch(t *testing.T, request jobs.BatchRequest) jobs.Batch {
	t.Helper()
	batch, err := s.SubmitBatch(t.Context(), request, "r")
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// readResults reads a batch's results until the end.
func (s *replica) readResults(t *testing.T, id string, after int, follow bool) []jobs.ItemResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all []jobs.ItemResult
	if err := s.BatchResults(ctx, id, after, follow, time.Minute, func(results []jobs.ItemResult) error {
		all = append(all, results...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func codeOf(err error) jobs.Code {
	var known *jobs.Error
	errors.As(err, &known)
	if known == nil {
		return ""
	}
	return known.Code
}

func TestABatch(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	request := newBatchRequest(20)
	request.Items[7] = jobs.ItemRequest{Err: jobs.Errorf(jobs.CodeInvalidRequest, "as asked")}
	batch := s.submitBatch(t, request)
	if c := batch.Counts; c != (jobs.BatchCounts{Total: 20, Refused: 1, Queued: 19}) || batch.Ended() ||
		len(batch.Items) != 20 {
		t.Errorf("got %+v", batch)
	}
	if m := batch.Items[7]; m.JobID != "" || m.Err == nil || m.Err.Message != "as asked" {
		t.Errorf("got %+v", m)
	}
	if got := s.readResults(t, batch.ID, 0, false); len(got) != 1 || got[0].Index != 7 ||
		codeOf(got[0].Err) != jobs.CodeInvalidRequest {
		t.Errorf("before the start: %+v", got)
	}
	var mu sync.Mutex
	var order []string
	s.startWorker(t, time.Second, func(job jobs.Job) jobs.Outcome {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, job.ID)
		if len(order) == 3 {
			return jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeException, Message: "x"}}
		}
		return jobs.Outcome{Result: jsontext.Value(job.Script[len("def main(): return "):])}
	})
	results := s.readResults(t, batch.ID, 0, true)
	if len(results) != 20 {
		t.Fatalf("got %d results", len(results))
	}
	seen := map[int]bool{}
	for _, result := range results[1:] {
		seen[result.Index] = true
		if result.Record.ID != batch.Items[result.Index].JobID {
			t.Errorf("line %d has another's job", result.Index)
		}
		if f := result.Record.Outcome.Failure; f == nil &&
			string(result.Record.Outcome.Result) != fmt.Sprint(result.Index) {
			t.Errorf("line %d gave %s", result.Index, result.Record.Outcome.Result)
		}
	}
	if len(seen) != 19 {
		t.Errorf("got %d lines", len(seen))
	}
	ended, err := s.GetBatch(t.Context(), batch.ID, 5*time.Second)
	if err != nil || !ended.Ended() ||
		ended.Counts != (jobs.BatchCounts{Total: 20, Refused: 1, Succeeded: 18, Failed: 1}) {
		t.Errorf("got %+v, %v", ended, err)
	}
	if rest := s.readResults(t, batch.ID, 18, true); len(rest) != 2 || rest[0].Index != results[18].Index ||
		rest[1].Index != results[19].Index {
		t.Errorf("after 18: %+v", rest)
	}
	for _, key := range []string{"batch", "items", "refused", "ended"} {
		if ttl := s.client.PTTL(t.Context(), "cellblock:{"+batch.ID+"}:"+key).Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("%s is kept for %s", key, ttl)
		}
	}
}

// slowLink lengthens each round trip to Redis.
type slowLink time.Duration

func (f slowLink) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f slowLink) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		time.Sleep(time.Duration(f))
		return next(ctx, command)
	}
}

func (f slowLink) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		time.Sleep(time.Duration(f))
		return next(ctx, commands)
	}
}

// Accepted one after the other, the jobs would take longer than batchTimeout.
func TestABatchWhereRedisIsFar(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.client.AddHook(slowLink(25 * time.Millisecond))
	batch := s.submitBatch(t, newBatchRequest(500))
	if batch.Counts.Queued != 500 {
		t.Errorf("got %+v", batch.Counts)
	}
	if batch, err := s.CancelBatch(t.Context(), batch.ID); err != nil || batch.Counts.Cancelled != 500 {
		t.Errorf("cancelled: %+v, %v", batch.Counts, err)
	}
}

// Batches leave Redis connections for single jobs, however many are submitted at once.
func TestManyBatchesWhereRedisIsFar(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.client.AddHook(slowLink(10 * time.Millisecond))
	ctx, stop := context.WithCancel(t.Context())
	var batches sync.WaitGroup
	for range 20 {
		batches.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.SubmitBatch(ctx, newBatchRequest(50), "r") // some find the queue full
			}
		})
	}
	refused := 0
	for range 20 {
		if _, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true},
			"r"); codeOf(err) == jobs.CodeUnavailable {
			refused++
		}
	}
	stop()
	batches.Wait()
	if refused > 0 {
		t.Errorf("%d of 20 jobs were refused", refused)
	}
}

// Small results are not delayed by a large one for which there is no memory.
func TestSmallResultsBeforeALargeOne(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	release, _ := s.budget.Acquire(t.Context(), 1<<20)
	defer release()
	batch := s.submitBatch(t, newBatchRequest(5))
	for i, member := range batch.Items {
		size := 10
		if i == 4 {
			size = 700 << 10
		}
		if _, err := s.store.End(t.Context(), member.JobID,
			jobs.Outcome{Result: jsontext.Value(`"` + strings.Repeat("x", size) + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	came := 0
	err := s.BatchResults(t.Context(), batch.ID, 0, true, time.Minute, func(results []jobs.ItemResult) error {
		came += len(results)
		return nil
	})
	if came != 4 || codeOf(err) != jobs.CodeUnavailable {
		t.Errorf("%d results came, then %v", came, err)
	}
}

// A reader holds one large result at a time, and receives all of them.
func TestLargeResultsOfABatch(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	batch := s.submitBatch(t, newBatchRequest(8))
	s.startWorker(t, 5*time.Second, func(jobs.Job) jobs.Outcome {
		return jobs.Outcome{Result: jsontext.Value(`"` + strings.Repeat("x", 700<<10) + `"`)}
	})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			came := 0
			err := s.BatchResults(t.Context(), batch.ID, 0, true, time.Minute, func(results []jobs.ItemResult) error {
				came += len(results)
				return nil
			})
			if err != nil || came != 8 {
				t.Errorf("%d results came: %v", came, err)
			}
		})
	}
	readers.Wait()
	if !s.budget.Idle() {
		t.Error("memory is not released")
	}
}

func TestABatchIsCancelledAsAWhole(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	batch := s.submitBatch(t, newBatchRequest(30))
	cancelled, err := s.CancelBatch(t.Context(), batch.ID)
	if err != nil || !cancelled.Ended() || cancelled.Counts.Cancelled != 30 {
		t.Errorf("got %+v, %v", cancelled, err)
	}
	again, err := s.CancelBatch(t.Context(), batch.ID)
	if err != nil || again.Counts != cancelled.Counts {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestABatchIsRepeatedSafely(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	request := newBatchRequest(10)
	request.IdempotencyKey, request.Fingerprint = "k", "f"
	first := s.submitBatch(t, request)
	// As if the server had died while it accepted the batch.
	lost := first.Items[6].JobID
	if err := s.client.Del(t.Context(), "cellblock:{"+lost+"}:job").Err(); err != nil {
		t.Fatal(err)
	}
	second := s.submitBatch(t, request)
	if second.ID != first.ID || !slices.Equal(second.Items, first.Items) || second.Counts.Queued != 10 {
		t.Errorf("got %+v, want %+v", second, first)
	}
	if _, state, err := s.store.Load(t.Context(), lost); err != nil || state != jobs.StateQueued {
		t.Errorf("the missing job is %s, %v", state, err)
	}
	request.Fingerprint = "g"
	if _, err := s.SubmitBatch(t.Context(), request, "r"); codeOf(err) != jobs.CodeIdempotencyMismatch {
		t.Errorf("another body: %v", err)
	}
}

// An ended line does not run again, even if its record is gone.
func TestARepeatedBatchRunsNothingTwice(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	request := newBatchRequest(3)
	request.IdempotencyKey, request.Fingerprint = "k", "f"
	first := s.submitBatch(t, request)
	expired := first.Items[1].JobID
	if _, err := s.store.Withdraw(t.Context(), expired,
		jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeException}}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Del(t.Context(), "cellblock:{"+expired+"}:job").Err(); err != nil {
		t.Fatal(err)
	}
	second := s.submitBatch(t, request)
	if second.ID != first.ID || second.Counts != (jobs.BatchCounts{Total: 3, Queued: 2, Failed: 1}) {
		t.Errorf("got %+v", second)
	}
	if _, _, err := s.store.Load(t.Context(), expired); codeOf(err) != jobs.CodeNotFound {
		t.Errorf("the job that ended is there again: %v", err)
	}
}

// Repeating a refused batch with its key does not get it accepted line by line.
func TestARefusedBatchIsRefusedAgain(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t)) // QueueLimit is 1000
	other := s.submitBatch(t, newBatchRequest(400))
	request := newBatchRequest(200)
	request.IdempotencyKey, request.Fingerprint = "k", "f"
	for i := range 2 {
		if batch, err := s.SubmitBatch(t.Context(), request, "r"); codeOf(err) != jobs.CodeQueueFull {
			t.Fatalf("attempt %d: %+v, %v", i, batch.Counts, err)
		}
	}
	request.Fingerprint = "g" // nothing was accepted, so the key is free
	if _, err := s.SubmitBatch(t.Context(), request, "r"); codeOf(err) != jobs.CodeQueueFull {
		t.Errorf("with another body: %v", err)
	}
	if _, err := s.CancelBatch(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	if batch := s.submitBatch(t, request); batch.Counts.Queued != 200 {
		t.Errorf("got %+v", batch.Counts)
	}
}

// A key is bound to its batch for as long as the batch can be read.
func TestAKeyLivesAsLongAsItsBatch(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	request := newBatchRequest(2)
	request.IdempotencyKey, request.Fingerprint = "k", "f"
	batch := s.submitBatch(t, request)
	if _, err := s.CancelBatch(t.Context(), batch.ID); err != nil {
		t.Fatal(err)
	}
	if ttl := s.client.PTTL(t.Context(), batchKey(jobs.Operator, request)).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("it is kept for %s", ttl)
	}
	single := jobs.Request{Script: "x", Async: true, IdempotencyKey: "batch k", Fingerprint: "of a single job"}
	if _, err := s.Submit(t.Context(), single, "r"); err != nil {
		t.Errorf("a single job's key is taken for a batch's: %v", err)
	}
}

// A client that follows a batch receives lost lines as refused, without any other client reading the batch.
func TestAFollowerReceivesLostItems(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	batch := s.submitBatch(t, newBatchRequest(1))
	if err := s.client.Del(t.Context(), "cellblock:{"+batch.Items[0].JobID+"}:job").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []jobs.ItemResult
	signs := 0
	err := s.BatchResults(ctx, batch.ID, 0, true, 50*time.Millisecond, func(results []jobs.ItemResult) error {
		got = append(got, results...)
		if signs++; signs == 2 {
			long := time.Now().Add(-2 * itemLost).UnixMicro()
			return s.client.HSet(t.Context(), "cellblock:{"+batch.ID+"}:batch", "created_at", long).Err()
		}
		return nil
	})
	if err != nil || len(got) != 1 || codeOf(got[0].Err) != jobs.CodeUnavailable {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestALostItemEndsTheBatch(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	batch := s.submitBatch(t, newBatchRequest(2))
	for _, member := range batch.Items {
		if err := s.client.Del(t.Context(), "cellblock:{"+member.JobID+"}:job").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.GetBatch(t.Context(), batch.ID, 0); err != nil || got.Counts.Queued != 2 {
		t.Errorf("at first: %+v, %v", got, err)
	}
	long := time.Now().Add(-2 * itemLost).UnixMicro()
	if err := s.client.HSet(t.Context(), "cellblock:{"+batch.ID+"}:batch", "created_at", long).Err(); err != nil {
		t.Fatal(err)
	}
	for _, result := range s.readResults(t, batch.ID, 0, true) {
		if codeOf(result.Err) != jobs.CodeUnavailable {
			t.Errorf("got %+v", result)
		}
	}
	if got, err := s.GetBatch(t.Context(), batch.ID, 0); err != nil || !got.Ended() || got.Counts.Refused != 2 {
		t.Errorf("in the end: %+v, %v", got, err)
	}
}

func TestBatchesFillAtMostHalfOfTheQueue(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t)) // QueueLimit is 1000
	s.submitBatch(t, newBatchRequest(400))
	if _, err := s.SubmitBatch(t.Context(), newBatchRequest(200), "r"); codeOf(err) != jobs.CodeQueueFull {
		t.Errorf("got %v", err)
	}
	if _, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true}, "r"); err != nil {
		t.Errorf("a single job: %v", err)
	}
}

func TestUnknownBatches(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	s := newReplica(t, server.URL())
	id := jobs.NewID()
	if _, err := s.GetBatch(t.Context(), id, time.Second); codeOf(err) != jobs.CodeNotFound {
		t.Errorf("get: %v", err)
	}
	if _, err := s.CancelBatch(t.Context(), id); codeOf(err) != jobs.CodeNotFound {
		t.Errorf("cancel: %v", err)
	}
	if err := s.BatchResults(t.Context(), id, 0, true, time.Second, nil); codeOf(err) != jobs.CodeNotFound {
		t.Errorf("results: %v", err)
	}
	server.Kill()
	if _, err := s.SubmitBatch(t.Context(), newBatchRequest(1), "r"); codeOf(err) != jobs.CodeUnavailable {
		t.Errorf("without Redis: %v", err)
	}
}
