package reaper_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/reaper"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// fixture is a Redis with a number of running reapers.
type fixture struct {
	*store.Store
	producer *queue.Producer
	client   redis.UniversalClient
}

func newFixture(t *testing.T, reapers int) *fixture {
	t.Helper()
	return newFixtureAt(t, redistest.Open(t), reapers)
}

// dequeue moves a task to a worker as asynq's dequeue does.
func (b *fixture) dequeue(t *testing.T, queue, id string) {
	t.Helper()
	ctx, name := t.Context(), "asynq:{"+queue+"}"
	b.client.RPopLPush(ctx, name+":pending", name+":active")
	b.client.HSet(ctx, name+":t:"+id, "state", "active")
	b.client.ZAdd(ctx, name+":lease", redis.Z{Score: float64(time.Now().Add(time.Hour).Unix()), Member: id})
}

func newFixtureAt(t *testing.T, client redis.UniversalClient, reapers int) *fixture {
	t.Helper()
	s := store.New(client, store.Settings{ResultTTL: time.Second, SyncResultTTL: time.Hour})
	producer := queue.NewProducer(client)
	b := &fixture{Store: s.WithWebhooks(producer), producer: producer, client: client}
	for range reapers {
		b.reap(t, client)
	}
	return b
}

// reap starts a reaper with its own client.
func (b *fixture) reap(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	producer := queue.NewProducer(client)
	s := store.New(client, store.Settings{ResultTTL: time.Second, SyncResultTTL: time.Hour}).WithWebhooks(producer)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reaper.New(s, producer, slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

func (b *fixture) create(t *testing.T, change func(*jobs.Job)) string {
	t.Helper()
	job := jobs.Job{Tenant: jobs.Operator, ID: jobs.NewID(), Script: "x", Async: true}
	if change != nil {
		change(&job)
	}
	if err := b.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return job.ID
}

// eventually waits for at most 10 s, which is what clients are promised.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	within(t, 10*time.Second, what, check)
}

func within(t *testing.T, bound time.Duration, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", bound, what)
		}
	}
}

func (b *fixture) code(t *testing.T, id string) jobs.Code {
	t.Helper()
	record, err := b.Get(t.Context(), jobs.OperatorCaller(), id)
	if err != nil {
		t.Fatal(err)
	}
	if record.Outcome == nil || record.Outcome.Failure == nil {
		return ""
	}
	return record.Outcome.Failure.Code
}

func TestTheJobsOfALostWorkerEnd(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 2)
	if err := b.Heartbeat(t.Context(), "lost", 4*time.Second, store.Offer{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Heartbeat(t.Context(), "alive", time.Hour, store.Offer{}); err != nil {
		t.Fatal(err)
	}
	lost, running := b.create(t, nil), b.create(t, nil)
	for id, owner := range map[string]string{lost: "lost", running: "alive"} {
		if _, err := b.ClaimStart(t.Context(), id, "t", owner, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the job of the lost worker ends", func() bool { return b.code(t, lost) == jobs.CodeWorkerLost })
	if code := b.code(t, running); code != "" {
		t.Errorf("the job of the worker that lives ended as %s", code)
	}
}

// A start claim took effect after its worker had stopped to wait for it.
func TestAJobThatItsLiveWorkerDoesNotHoldEnds(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	forgotten, held := b.create(t, nil), b.create(t, nil)
	for _, id := range []string{forgotten, held} {
		if _, err := b.ClaimStart(t.Context(), id, "t", "w", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the job ends", func() bool {
		if err := b.Heartbeat(t.Context(), "w", 4*time.Second, store.Offer{}, held); err != nil {
			t.Fatal(err)
		}
		return b.code(t, forgotten) == jobs.CodeWorkerLost
	})
	if code := b.code(t, held); code != "" {
		t.Errorf("the job that is in hand ended as %s", code)
	}
}

func TestAJobWithoutATaskIsQueued(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	b.create(t, func(j *jobs.Job) { j.Priority = jobs.PriorityLow })
	eventually(t, "the job is in the queue", func() bool {
		return b.client.LLen(t.Context(), "asynq:{default}:pending").Val() == 1
	})
}

// A worker took the task and died before it claimed the start.
func TestAStuckTaskIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"taken by a dead worker": true, "taken by an unknown worker": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, 1)
			id := b.create(t, nil)
			if err := b.producer.Enqueue(t.Context(), id, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			b.dequeue(t, "default", id)
			if taken {
				if _, _, _, err := b.Take(ctx, id, "dead", time.Second); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "the job is in the queue again", func() bool {
				return b.client.LLen(ctx, "asynq:{default}:pending").Val() == 1
			})
			n := b.client.LLen(ctx, "asynq:{default}:active").Val() + b.client.ZCard(ctx, "asynq:{default}:lease").Val()
			if n != 0 {
				t.Errorf("%d traces of the old delivery are left", n)
			}
		})
	}
}

func TestAJobIsWithdrawnAtItsStartDeadline(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	start := time.Now()
	id := b.create(t, func(j *jobs.Job) { j.StartWithin = 1500 * time.Millisecond })
	if err := b.producer.Enqueue(t.Context(), id, jobs.Route{Priority: jobs.PriorityDefault}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job is withdrawn", func() bool { return b.code(t, id) == jobs.CodeNotStarted })
	if took := time.Since(start); took < 1500*time.Millisecond || took > 3500*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

func TestTheIndexDropsExpiredJobs(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	tenants := []jobs.Tenant{jobs.Operator, "acme", "beta"}
	ids := make([]string, 250)
	for i := range ids {
		ids[i] = b.create(t, func(job *jobs.Job) {
			job.Tenant, job.Labels = tenants[i%len(tenants)], map[string]string{"number": strconv.Itoa(i)}
		})
		if _, err := b.End(t.Context(), ids[i], jobs.Outcome{Result: []byte("1")}); err != nil {
			t.Fatal(err)
		}
	}
	// Jobs whose record was lost with Redis's last writes.
	for _, tenant := range tenants {
		id := b.create(t, func(job *jobs.Job) { job.Tenant = tenant })
		b.client.Del(t.Context(), "cellblock:{"+id+"}:job")
	}
	within(t, 40*time.Second, "all are forgotten", func() bool {
		n, err := b.Indexed(t.Context(), tenants)
		labels, labelsErr := b.IndexedLabels(t.Context())
		load, loadErr := b.ReadLoad(t.Context())
		return errors.Join(err, labelsErr, loadErr) == nil && n == 0 && labels == 0 && load.Open == 0
	})
}

// What counts against a tenant's bound without running, and a flow that is missing in the order, are repaired.
func TestTurnsAreRepaired(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	job := func(j *jobs.Job) { j.Tenant, j.MaxRunning = "a", 1 }
	waiting, lost := b.create(t, job), jobs.NewID()
	route := jobs.Route{Tenant: "a", MaxRunning: 1}
	if err := b.producer.Enqueue(t.Context(), waiting, route); err != nil {
		t.Fatal(err)
	}
	b.client.SAdd(t.Context(), "cellblock:{running}:a", lost)
	b.client.SAdd(t.Context(), "cellblock:{running}", "a")
	// As a poll leaves it at the bound.
	b.client.SAdd(t.Context(), "cellblock:{running}:a:held", "default")
	b.client.Del(t.Context(), "cellblock:{flows}:default")
	eventually(t, "the tenant takes turns again", func() bool {
		return b.client.ZCard(t.Context(), "cellblock:{flows}:default").Val() == 1
	})
	b.client.Del(t.Context(), "cellblock:{flows}:default", "cellblock:{flows}:default:a")
	within(t, 15*time.Second, "its flow is back", func() bool {
		return b.client.ZCard(t.Context(), "cellblock:{flows}:default").Val() == 1
	})
	if keys := b.client.Keys(t.Context(), "cellblock:{running}*").Val(); len(keys) > 0 {
		t.Errorf("left are %q", keys)
	}
}

// The reaper's end of a job whose worker died lets the tenant's next one in.
func TestALostJobLetsTheNextOneIn(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	id := b.create(t, func(j *jobs.Job) { j.Tenant, j.MaxRunning = "a", 1 })
	if _, err := b.ClaimStart(t.Context(), id, "t", "dead", time.Minute); err != nil {
		t.Fatal(err)
	}
	b.client.SAdd(t.Context(), "cellblock:{running}:a", id)
	b.client.SAdd(t.Context(), "cellblock:{running}:a:held", "default")
	eventually(t, "the job ends", func() bool { return b.code(t, id) == jobs.CodeWorkerLost })
	if b.client.ZCard(t.Context(), "cellblock:{flows}:default").Val() != 1 ||
		b.client.Exists(t.Context(), "cellblock:{running}:a").Val() != 0 {
		t.Error("the tenant does not take turns again")
	}
}
