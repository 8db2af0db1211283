package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// TaskState is the state of a job's task in asynq.
type TaskState string

// The states that the reaper distinguishes; TaskNone means that there is no task.
const (
	TaskNone    TaskState = ""
	TaskPending TaskState = "pending"
	TaskActive  TaskState = "active"
	// TaskRetry is for tasks that are delivered again in a moment, to any consumer.
	TaskRetry TaskState = "retry"
)

// TaskStates returns the states of the tasks of jobs, given their routes by id.
func (p *Producer) TaskStates(ctx context.Context, routes map[string]jobs.Route) (map[string]TaskState, error) {
	if len(routes) == 0 {
		return map[string]TaskState{}, nil
	}
	pipeline := p.client.Pipeline()
	replies := make(map[string]*redis.StringCmd, len(routes))
	for id, route := range routes {
		replies[id] = pipeline.HGet(ctx, key(queueOf(route), "t:"+id), "state")
	}
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the states of %d tasks: %w", len(routes), err)
	}
	states := make(map[string]TaskState, len(replies))
	for id, reply := range replies {
		states[id] = TaskState(reply.Val())
	}
	return states, nil
}

// requeueScript moves a task back into its queue, whatever its state.
//
//	KEYS[1]  asynq:{queue}:t:{id}
//	KEYS[2]  asynq:{queue}:pending
//	KEYS[3]  asynq:{queue}:active
//	KEYS[4]  asynq:{queue}:lease
//	KEYS[5]  asynq:{queue}:retry
//	KEYS[6]  asynq:{queue}:scheduled
//	KEYS[7]  asynq:{queue}:archived
//	ARGV[1]  id
//	returns  1 if it was moved, 0 if there is none or it is pending already
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

// Requeue makes the task of a lost job the next one of its queue. Should the worker that had it still be alive, the
// job's start claim lets only one of the two workers start it.
func (p *Producer) Requeue(ctx context.Context, id string, route jobs.Route) error {
	if err := p.requeue(ctx, queueOf(route), id); err != nil {
		return fmt.Errorf("requeue job %s: %w", id, err)
	}
	return p.Enqueue(ctx, id, route) // creates the task if there was none, and wakes a worker
}

func (p *Producer) requeue(ctx context.Context, queue, id string) error {
	return requeueScript.Run(ctx, p.client, taskKeys(queue, id), id).Err()
}

// taskKeys are the keys that a task may be in, its own first.
func taskKeys(queue, id string) []string {
	return []string{
		key(queue, "t:"+id), key(queue, "pending"), key(queue, "active"), key(queue, "lease"),
		key(queue, "retry"), key(queue, "scheduled"), key(queue, "archived"),
	}
}

// forgetScript removes the task of a job that has ended, unless a consumer has it.
//
//	KEYS[1…7]  as for requeueScript
//	ARGV[1]    id
//	returns    1 if it was removed, 0 if there is none or a consumer's lease of it is valid
var forgetScript = redis.NewScript(`
local state = redis.call("HGET", KEYS[1], "state")
if not state then
	return 0
end
if state == "active" then
	local lease = redis.call("ZSCORE", KEYS[4], ARGV[1])
	if lease and tonumber(lease) > tonumber(redis.call("TIME")[1]) then
		return 0
	end
end
redis.call("LREM", KEYS[2], -1, ARGV[1]) -- from the end that is taken next
redis.call("LREM", KEYS[3], 0, ARGV[1])
for i = 4, 7 do
	redis.call("ZREM", KEYS[i], ARGV[1])
end
redis.call("DEL", KEYS[1])
return 1`)

// Forget removes the task of a job that has ended. Consumers remove tasks too, but an environment may have none.
func (p *Producer) Forget(ctx context.Context, id string, route jobs.Route) error {
	if err := forgetScript.Run(ctx, p.client, taskKeys(queueOf(route), id), id).Err(); err != nil {
		return fmt.Errorf("remove the task of job %s: %w", id, err)
	}
	return nil
}
