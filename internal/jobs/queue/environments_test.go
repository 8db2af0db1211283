package queue

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
	"cellblock/internal/redistest"
)

// environmentConsumer starts a consumer with environments and returns it with the ids that it gets.
func environmentConsumer(
	t *testing.T, url string, handle func(Delivery) error, environments ...string,
) (*Consumer, <-chan string) {
	t.Helper()
	ids := make(chan string, 64)
	consumer := NewConsumer(redistest.Client(t, url), ConsumerSettings{
		Concurrency: 2, FlowConcurrency: 1, ShutdownTimeout: time.Second, Environments: environments,
	}, func(_ context.Context, d Delivery) error {
		ids <- d.ID
		if handle != nil {
			return handle(d)
		}
		return nil
	}, slog.New(slog.DiscardHandler))
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = consumer.Stop() })
	return consumer, ids
}

func enqueueIn(t *testing.T, p *Producer, environment string, priority jobs.Priority) string {
	t.Helper()
	id := jobs.NewID()
	if err := p.Enqueue(t.Context(), id, jobs.Route{Priority: priority, Environment: environment}); err != nil {
		t.Fatal(err)
	}
	return id
}

func wantNone(t *testing.T, ids <-chan string) {
	t.Helper()
	select {
	case id := <-ids:
		t.Errorf("%s was delivered", id)
	default:
	}
}

// Of every priority, a job wakes an idle consumer that has its environment, and reaches no other one.
func TestJobsReachConsumersWithTheirEnvironment(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	_, plain := environmentConsumer(t, url, nil)
	_, science := environmentConsumer(t, url, nil, "science", "default")
	waitForIdleConsumers(t, client, 2)
	for _, priority := range []jobs.Priority{
		jobs.PriorityHigh, jobs.PriorityDefault, jobs.PriorityLow, jobs.PriorityBatch, "",
	} {
		want(t, science, enqueueIn(t, producer, "science", priority), wakePoll/2)
	}
	wantNone(t, plain)
	enqueueIn(t, producer, "other", jobs.PriorityHigh)
	if n := countWaiting(t, client); n != 1 {
		t.Errorf("%d jobs wait", n)
	}
	route := jobs.Route{Environment: "science"}
	waiting := jobs.NewID()
	if err := producer.Requeue(t.Context(), waiting, route); err != nil {
		t.Fatal(err)
	}
	want(t, science, waiting, wakePoll/2)
	wantNone(t, plain)
}

func TestEnvironmentsOfAConsumerChange(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	producer := NewProducer(client)
	consumer, ids := environmentConsumer(t, url, nil)
	waitForIdleConsumers(t, client, 1)
	waiting := enqueueIn(t, producer, "science", jobs.PriorityDefault)
	consumer.SetEnvironments([]string{"default", "science"})
	want(t, ids, waiting, wakePoll/2)
	waitForIdleConsumers(t, client, 1)
	want(t, ids, enqueueIn(t, producer, "science", jobs.PriorityHigh), wakePoll/2)
	consumer.SetEnvironments(nil)
	left := enqueueIn(t, producer, "science", jobs.PriorityHigh)
	want(t, ids, enqueueIn(t, producer, "", jobs.PriorityHigh), wakePoll/2)
	wantNone(t, ids)
	// A token for it is in the list, though this consumer may have popped one.
	_, others := environmentConsumer(t, url, nil, "science")
	want(t, others, left, wakePoll/2)
}

// asynq forwards and recovers tasks of the queues that it knows only.
func TestJobsOfEnvironmentsAreDeliveredAgain(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	failed := map[string]bool{}
	_, ids := environmentConsumer(t, url, func(d Delivery) error {
		if !failed[d.ID] {
			failed[d.ID] = true
			return ErrElsewhere
		}
		return nil
	}, "science")
	id := enqueueIn(t, NewProducer(client), "science", jobs.PriorityHigh)
	want(t, ids, id, wakePoll)
	want(t, ids, id, 3*(elsewherePause+forwardInterval))
	waitFor(t, "nothing is left", wakePoll, func() bool {
		keys, err := client.Keys(t.Context(), "asynq:{env:science*").Result()
		return err == nil && len(keys) == 0
	})
}

// An expired lease of a task in an environment's queue is among those that asynq looks for.
func TestExpiredLeasesOfEnvironmentsAreFound(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	consumer, _ := environmentConsumer(t, url, nil, "science")
	queue := queueOf(jobs.Route{Environment: "science"})
	if err := client.ZAdd(t.Context(), key(queue, "lease"), redisZ(1, "lost")).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), key(queue, "t:lost"), "msg", "its message").Err(); err != nil {
		t.Fatal(err)
	}
	// As asynq's script does (listLeaseExpiredCmd).
	sha, err := client.ScriptLoad(t.Context(), `
local res = {}
for _, id in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1])) do
	table.insert(res, redis.call("HGET", ARGV[2] .. id, "msg"))
end
return res`).Result()
	if err != nil {
		t.Fatal(err)
	}
	found, err := consumer.client.EvalSha(t.Context(), sha, []string{key(defaultQueue, "lease")}, time.Now().Unix(),
		key(defaultQueue, "t:")).StringSlice()
	if err != nil || len(found) != 1 {
		t.Errorf("found %q, %v", found, err)
	}
}

// A task is removed unless a consumer has it.
func TestForget(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.Start(t))
	producer := NewProducer(client)
	route := jobs.Route{Environment: "science"}
	queue := queueOf(route)
	forget := func(id string) bool {
		if err := producer.Forget(t.Context(), id, route); err != nil {
			t.Fatal(err)
		}
		return client.Exists(t.Context(), key(queue, "t:"+id)).Val() == 0
	}
	held, waiting := enqueueIn(t, producer, "science", ""), enqueueIn(t, producer, "science", "")
	client.RPopLPush(t.Context(), key(queue, "pending"), key(queue, "active"))
	client.HSet(t.Context(), key(queue, "t:"+held), "state", "active")
	lease := func(until time.Time) {
		client.ZAdd(t.Context(), key(queue, "lease"), redisZ(float64(until.Unix()), held))
	}
	lease(time.Now().Add(time.Minute))
	if forget(held) || !forget(waiting) || !forget(waiting) {
		t.Error("of two tasks, the one without a consumer is not the one that was removed")
	}
	lease(time.Now().Add(-time.Minute))
	if !forget(held) {
		t.Error("a task whose consumer is gone is not removed")
	}
	if keys := client.Keys(t.Context(), "asynq:{"+queue+"*").Val(); len(keys) != 0 {
		t.Errorf("left are %q", keys)
	}
	enqueueIn(t, producer, "", "")
	if ttl := client.TTL(t.Context(), flows.WakeList(jobs.DefaultEnvironment)).Val(); ttl > 0 {
		t.Errorf("the default's tokens are kept for %v", ttl)
	}
}

func redisZ(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }
