package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
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
	states, old := make(map[string]TaskState, len(routes)), map[string]string{}
	queues := make(map[string]string, len(routes))
	for id, route := range routes {
		queues[id] = queueOf(route)
	}
	if err := p.readStates(ctx, queues, states); err != nil {
		return nil, err
	}
	for id, route := range routes {
		if queue := oldQueueOf(route); states[id] == TaskNone && queue != queues[id] {
			old[id] = queue
		}
	}
	return states, p.readStates(ctx, old, states)
}

// readStates adds the states of the tasks of jobs, given their queues by id.
func (p *Producer) readStates(ctx context.Context, queues map[string]string, states map[string]TaskState) error {
	if len(queues) == 0 {
		return nil
	}
	pipeline := p.only().Pipeline()
	replies := make(map[string]*redis.StringCmd, len(queues))
	for id, queue := range queues {
		replies[id] = pipeline.HGet(ctx, key(queue, "t:"+id), "state")
	}
	if _, err := pipeline.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read the states of %d tasks: %w", len(queues), err)
	}
	for id, reply := range replies {
		states[id] = TaskState(reply.Val())
	}
	return nil
}

// requeueScript moves a task back into its queue, whatever its state, and wakes a consumer.
//
//	KEYS[1]  asynq:{queue}:t:{id}
//	KEYS[2]  asynq:{queue}:pending
//	KEYS[3]  asynq:{queue}:active
//	KEYS[4]  asynq:{queue}:lease
//	KEYS[5]  asynq:{queue}:retry
//	KEYS[6]  asynq:{queue}:scheduled
//	KEYS[7]  asynq:{queue}:archived
//	KEYS[8]  the list of tokens that wakes the queue's consumers
//	ARGV[1]  id
//	returns  1 if there is one, else 0
var requeueScript = redis.NewScript(flows.Tokens + `
local state = redis.call("HGET", KEYS[1], "state")
if not state then
	return 0
end
if state ~= "pending" then
	redis.call("LREM", KEYS[3], 0, ARGV[1])
	for i = 4, 7 do
		redis.call("ZREM", KEYS[i], ARGV[1])
	end
	redis.call("RPUSH", KEYS[2], ARGV[1])
	redis.call("HSET", KEYS[1], "state", "pending")
end
push_tokens(KEYS[8], 1)
return 1`)

// Requeue makes the task of a lost job the next one of its queue. Should the worker that had it still be alive, the
// job's start claim lets only one of the two workers start it. A job without a task is enqueued again.
func (p *Producer) Requeue(ctx context.Context, id string, route jobs.Route) error {
	for _, queue := range slices.Compact([]string{queueOf(route), oldQueueOf(route)}) {
		found, err := requeue(ctx, p.parts.Of(id), queue, id)
		if err != nil {
			return fmt.Errorf("requeue job %s: %w", id, err)
		}
		if found {
			return nil
		}
	}
	return p.Enqueue(ctx, id, route)
}

// requeue requeues a task and reports whether there is one.
func requeue(ctx context.Context, client redis.Scripter, queue, id string) (bool, error) {
	return requeueScript.Run(ctx, client, append(taskKeys(queue, id), tokensOf(queue)), id).Bool()
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
//	ARGV[2…4]  environment, tenant and flow
//	returns    1 if it was removed, 0 if there is none or a consumer's lease of it is valid
var forgetScript = redis.NewScript(flows.Tokens + flows.Enter + `
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
leave(ARGV[2], ARGV[3], ARGV[4], ARGV[1])
redis.call("LREM", KEYS[3], 0, ARGV[1])
for i = 4, 7 do
	redis.call("ZREM", KEYS[i], ARGV[1])
end
redis.call("DEL", KEYS[1])
return 1`)

// Forget removes the task of a job that has ended. Consumers remove tasks too, but an environment may have none.
func (p *Producer) Forget(ctx context.Context, id string, route jobs.Route) error {
	for _, queue := range slices.Compact([]string{queueOf(route), oldQueueOf(route)}) {
		args := append([]any{id}, flows.Args(route)...)
		if err := forgetScript.Run(ctx, p.parts.Of(id), taskKeys(queue, id), args...).Err(); err != nil {
			return fmt.Errorf("remove the task of job %s: %w", id, err)
		}
	}
	return nil
}

// reopenScript puts flows in which jobs wait into the order, unless they are.
//
//	KEYS[1]  cellblock:{flows}:ENV of the first flow
//	ARGV     environment, tenant, flow and terms of each flow
//	returns  how many were not there
var reopenScript = redis.NewScript(flows.Tokens + flows.Enter + `
local reopened = 0
for i = 1, #ARGV, 4 do
	reopened = reopened + reopen(unpack(ARGV, i, i + 3))
end
return reopened`)

// Reopen puts the flows of waiting jobs, given their routes, into the order if they are missing there, and returns how
// many were. No script leaves one like that, but all of its jobs would wait for good.
func (p *Producer) Reopen(ctx context.Context, routes []jobs.Route) (int, error) {
	seen, key := map[string]bool{}, ""
	var all []any
	for _, route := range routes {
		args := flows.Args(route)
		if name := fmt.Sprint(args...); !seen[name] {
			seen[name] = true
			all = append(all, args...)
			key = flows.TenantsKey(cmp.Or(route.Environment, jobs.DefaultEnvironment))
		}
	}
	if len(all) == 0 {
		return 0, nil
	}
	n, err := reopenScript.Run(ctx, p.only(), []string{key}, all...).Int()
	if err != nil {
		return 0, fmt.Errorf("check the flows of waiting jobs: %w", err)
	}
	return n, nil
}
