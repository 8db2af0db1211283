package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Place is where asynq has the task of a job.
type Place string

// The places that matter to the reaper; "" means that there is no task.
const (
	PlaceNone    Place = ""
	PlacePending Place = "pending"
	PlaceActive  Place = "active"
	// PlaceRetry is for tasks that are delivered again in a moment, by any consumer.
	PlaceRetry Place = "retry"
)

// Places gives where the tasks of jobs are, given their priorities by id.
func (p *Producer) Places(ctx context.Context, priorities map[string]jobs.Priority) (map[string]Place, error) {
	if len(priorities) == 0 {
		return map[string]Place{}, nil
	}
	pipeline := p.client.Pipeline()
	replies := make(map[string]*redis.StringCmd, len(priorities))
	for id, priority := range priorities {
		replies[id] = pipeline.HGet(ctx, key(queueOf(priority), "t:"+id), "state")
	}
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look for %d tasks: %w", len(priorities), err)
	}
	places := make(map[string]Place, len(replies))
	for id, reply := range replies {
		places[id] = Place(reply.Val())
	}
	return places, nil
}

// requeueScript puts a task back into its queue, wherever it is.
//
//	KEYS     the task, pending, active, lease, retry, scheduled, archived
//	ARGV     id
//	returns  1 if it was moved, 0 if there is none or it waits already
var requeueScript = redis.NewScript(`
local state = redis.call("HGET", KEYS[1], "state")
if not state or state == "pending" then
	return 0
end
redis.call("LREM", KEYS[3], 0, ARGV[1])
for i = 4, 7 do
	redis.call("ZREM", KEYS[i], ARGV[1])
end
redis.call("RPUSH", KEYS[2], ARGV[1])
redis.call("HSET", KEYS[1], "state", "pending")
return 1`)

// Requeue makes a job's task be delivered again, as the next one: whoever had it
// is gone. Should that one live after all, the job's fence lets only one start.
func (p *Producer) Requeue(ctx context.Context, id string, priority jobs.Priority) error {
	if err := p.requeue(ctx, queueOf(priority), id); err != nil {
		return fmt.Errorf("requeue job %s: %w", id, err)
	}
	return p.Enqueue(ctx, id, priority) // if there was no task at all; wakes a worker in each case
}

func (p *Producer) requeue(ctx context.Context, queue, id string) error {
	keys := []string{
		key(queue, "t:"+id), key(queue, "pending"), key(queue, "active"), key(queue, "lease"),
		key(queue, "retry"), key(queue, "scheduled"), key(queue, "archived"),
	}
	return requeueScript.Run(ctx, p.client, keys, id).Err()
}

// ForgetConsumers drops asynq's traces of consumers that died and whose sign of
// life ran out before the given time. asynq itself does so only when somebody
// lists them, so that each crash would leave two for good.
func (p *Producer) ForgetConsumers(ctx context.Context, before time.Time) error {
	pipeline := p.client.Pipeline()
	for _, traces := range []string{"asynq:servers", "asynq:workers"} {
		pipeline.ZRemRangeByScore(ctx, traces, "-inf", "("+strconv.FormatInt(before.Unix(), 10))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return fmt.Errorf("forget dead consumers: %w", err)
	}
	return nil
}
