package store_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// operator sees everything.
var operator = jobs.OperatorCaller()

var settings = store.Settings{ResultTTL: time.Hour, SyncResultTTL: 10 * time.Minute}

func newStore(t *testing.T) (*store.Store, redis.UniversalClient) {
	t.Helper()
	client := redistest.Open(t)
	return store.New(client, settings), client
}

func createJob(t *testing.T, s *store.Store, change ...func(*jobs.Job)) jobs.Job {
	t.Helper()
	job := jobs.Job{
		Tenant: jobs.Operator, ID: jobs.NewID(), Script: "def main(): pass", RequestID: "r-1", ReplyTo: "replies",
	}
	for _, f := range change {
		f(&job)
	}
	if err := s.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return job
}

func claimStart(t *testing.T, s *store.Store, id, token string) store.StartClaim {
	t.Helper()
	claim, err := s.ClaimStart(t.Context(), id, token, "worker of "+token, 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func endJob(t *testing.T, s *store.Store, id string, outcome jobs.Outcome) bool {
	t.Helper()
	stands, err := s.End(t.Context(), id, outcome)
	if err != nil {
		t.Fatal(err)
	}
	return stands
}

func getRecord(t *testing.T, s *store.Store, id string) jobs.Record {
	t.Helper()
	record, err := s.Get(t.Context(), operator, id)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func succeeded(result string) jobs.Outcome {
	return jobs.Outcome{Result: jsontext.Value(result), Stdout: "printed\n"}
}

func failed(code jobs.Code) jobs.Outcome {
	return jobs.Outcome{Failure: &jobs.Failure{Code: code, Message: "because"}}
}

func isNotFound(err error) bool {
	var known *jobs.Error
	return errors.As(err, &known) && known.Code == jobs.CodeNotFound
}

func TestAJobsWay(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	job := createJob(t, s)
	loaded, state, err := s.Load(t.Context(), job.ID)
	if err != nil || !reflect.DeepEqual(loaded, job) || state != jobs.StateQueued {
		t.Fatalf("got %+v, %s, %v", loaded, state, err)
	}
	queued := getRecord(t, s, job.ID)
	if queued.State != jobs.StateQueued || time.Since(queued.CreatedAt).Abs() > 5*time.Second ||
		!queued.StartedAt.IsZero() || !queued.FinishedAt.IsZero() || queued.Outcome != nil {
		t.Fatalf("queued: %+v", queued)
	}
	claim := claimStart(t, s, job.ID, "a")
	if claim.Token != "a" || claim.Owner != "worker of a" || claim.Ended ||
		!claim.CreatedAt.Equal(queued.CreatedAt) {
		t.Fatalf("got %+v", claim)
	}
	running := getRecord(t, s, job.ID)
	if running.State != jobs.StateRunning || !running.StartedAt.Equal(claim.StartedAt) ||
		running.StartedAt.Before(running.CreatedAt) {
		t.Fatalf("running: %+v", running)
	}
	if ttl := client.PTTL(t.Context(), jobKey(job.ID)).Val(); ttl != -1 {
		t.Errorf("a job that has not ended has TTL %s", ttl)
	}
	if !endJob(t, s, job.ID, succeeded("3.0")) {
		t.Fatal("the first end does not stand")
	}
	ended := getRecord(t, s, job.ID)
	if ended.State != jobs.StateSucceeded || ended.FinishedAt.Before(ended.StartedAt) ||
		string(ended.Outcome.Result) != "3.0" || ended.Outcome.Stdout != "printed\n" {
		t.Fatalf("ended: %+v", ended)
	}
	if loaded, _, err := s.Load(t.Context(), job.ID); err != nil || loaded.Script != "" {
		t.Errorf("the script is kept after the end: %v", err)
	}
}

func jobKey(id string) string { return "cellblock:{" + id + "}:job" }

func TestTheFirstStartClaimStands(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	job := createJob(t, s)
	first := claimStart(t, s, job.ID, "a")
	if other := claimStart(t, s, job.ID, "b"); other != first {
		t.Errorf("the second token got %+v", other)
	}
	if again := claimStart(t, s, job.ID, "a"); again != first {
		t.Errorf("the first token, sent again, got %+v", again)
	}
	if claim, err := s.ReadStartClaim(t.Context(), job.ID); err != nil || claim != first {
		t.Errorf("got %+v, %v", claim, err)
	}
}

func TestOneOfManyClaimsTheStart(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	job := createJob(t, s)
	const deliveries = 50
	won := make(chan bool, deliveries)
	for range deliveries {
		go func() {
			token := uuid.NewString()
			claim, err := s.ClaimStart(context.WithoutCancel(t.Context()), job.ID, token, "w", time.Second)
			won <- err == nil && claim.Token == token
		}()
	}
	winners := 0
	for range deliveries {
		if <-won {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d deliveries may start the job", winners)
	}
}

func TestUnknownJobs(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	id := jobs.NewID()
	if _, err := s.Get(t.Context(), operator, id); !isNotFound(err) {
		t.Errorf("Get: %v", err)
	}
	if _, _, err := s.Load(t.Context(), id); !isNotFound(err) {
		t.Errorf("Load: %v", err)
	}
	if _, err := s.ReadStartClaim(t.Context(), id); !isNotFound(err) {
		t.Errorf("ReadStartClaim: %v", err)
	}
	if _, err := s.ClaimStart(t.Context(), id, "a", "w", time.Second); !isNotFound(err) {
		t.Errorf("ClaimStart: %v", err)
	}
	if _, running, err := s.Remaining(t.Context(), id); running || err != nil {
		t.Errorf("Remaining: %v, %v", running, err)
	}
	if endJob(t, s, id, succeeded("1")) {
		t.Error("End stands")
	}
}

func TestCreateTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	job := createJob(t, s)
	endJob(t, s, job.ID, succeeded("1"))
	if err := s.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if state := getRecord(t, s, job.ID).State; state != jobs.StateSucceeded {
		t.Errorf("the job is %s again", state)
	}
}

func TestStatesOfMany(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	queued, running, ended := createJob(t, s), createJob(t, s), createJob(t, s)
	claimStart(t, s, running.ID, "a")
	endJob(t, s, ended.ID, succeeded("1"))
	got, err := s.States(t.Context(), []string{queued.ID, jobs.NewID(), running.ID, ended.ID})
	if err != nil || len(got) != 3 || got[queued.ID] != jobs.StateQueued || got[running.ID] != jobs.StateRunning ||
		got[ended.ID] != jobs.StateSucceeded {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := s.States(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("none: got %v, %v", got, err)
	}
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	job := createJob(t, s)
	if _, running, err := s.Remaining(t.Context(), job.ID); running || err != nil {
		t.Errorf("queued: %v, %v", running, err)
	}
	claimStart(t, s, job.ID, "a")
	left, running, err := s.Remaining(t.Context(), job.ID)
	if !running || err != nil || left > 15*time.Second || left < 12*time.Second {
		t.Errorf("running: %s, %v, %v", left, running, err)
	}
	over := createJob(t, s)
	if _, err := s.ClaimStart(t.Context(), over.ID, "a", "w", -time.Second); err != nil {
		t.Fatal(err)
	}
	if left, running, err := s.Remaining(t.Context(), over.ID); !running || err != nil || left > -time.Second {
		t.Errorf("over: %s, %v, %v", left, running, err)
	}
}

func TestWorkersLive(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	check := func(when string, live int, alive bool) {
		t.Helper()
		n, err := s.LiveWorkers(t.Context())
		if err != nil || n != live {
			t.Errorf("%s: %d workers, %v", when, n, err)
		}
		if got, err := s.WorkerAlive(t.Context(), "a"); err != nil || got != alive {
			t.Errorf("%s: alive is %v, %v", when, got, err)
		}
	}
	beat := func(owner string, ttl time.Duration, held ...string) {
		t.Helper()
		if err := s.Heartbeat(t.Context(), owner, ttl, store.Offer{}, held...); err != nil {
			t.Fatal(err)
		}
	}
	check("none", 0, false)
	beat("a", -time.Second)
	check("idle, and a heartbeat is late", 1, false)
	beat("a", -time.Second, "job")
	check("the same with a job", 0, false)
	beat("a", -time.Minute)
	check("run out", 0, false)
	beat("b", time.Minute)
	if n := client.ZCard(t.Context(), "cellblock:workers").Val(); n != 1 {
		t.Errorf("%d entries are kept, want 1", n)
	}
	beat("a", time.Minute)
	check("two", 2, true)
	if err := s.MarkDraining(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	check("one drains", 1, true)
	beat("a", -time.Minute) // it dies while it drains
	check("the draining one died", 1, false)
	beat("b", time.Minute)
	beat("a", time.Minute)
	check("another of its name", 2, true)
	if err := s.RemoveWorker(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	check("retired", 1, false)
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	if settings.Validate() != nil || (store.Settings{ResultTTL: time.Hour}).Validate() == nil {
		t.Error("wrong")
	}
}
