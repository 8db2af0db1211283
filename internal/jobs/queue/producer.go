// Package queue delivers job ids from the API to a worker. It is based on asynq v0.26, and contains everything in
// which we differ from it:
//
//   - Tasks carry only the id, since asynq rewrites whole payloads repeatedly.
//   - An idle worker waits in Redis until there is work; see wake.go.
//   - asynq's writes after a job do not fail with its cancelled context; see consumerClient.
//   - Webhooks of ended jobs are delivered in the same way, in a separate queue, to the API; see webhooks.go.
//   - A delivery is not a start. asynq may deliver a task twice (after a lost lease), so the receiver claims
//     the job's start before it runs anything, and delivery is repeated until the receiver returns no error.
package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
	"cellblock/internal/redisparts"
)

const (
	taskType = "job"

	// maxRetry is never reached: asynq archives a task without retries left, and its job would neither run nor end.
	// The receiver decides when to give up.
	maxRetry = 1_000_000
	// taskTimeout is far above any wall limit: after it asynq abandons a handler that is still running and reuses its
	// place. Jobs are ended by the worker's own timers.
	taskTimeout = 24 * time.Hour
)

// Producer enqueues jobs. It is safe for concurrent use.
type Producer struct {
	parts redisparts.Parts
	// tasks has a client of asynq for each part, and webhooks is the one for webhooks.
	tasks    []*asynq.Client
	webhooks *asynq.Client
}

// NewProducer returns a producer on a client that the caller owns and closes later.
func NewProducer(client redis.UniversalClient) *Producer {
	return NewProducerOf(redisparts.Single(client))
}

// NewProducerOf returns a producer on parts, whose client the caller owns and closes later.
func NewProducerOf(parts redisparts.Parts) *Producer {
	p := &Producer{parts: parts, webhooks: asynq.NewClientFromRedisClient(producerClient{parts.Home()})}
	for _, part := range parts.All() {
		p.tasks = append(p.tasks, asynq.NewClientFromRedisClient(producerClient{part}))
	}
	return p
}

// Parts returns a producer for each part: for the reapers.
func (p *Producer) Parts() []*Producer {
	all := make([]*Producer, p.parts.Len())
	for i := range all {
		all[i] = &Producer{parts: p.parts.Only(i), tasks: p.tasks[i : i+1], webhooks: p.webhooks}
	}
	return all
}

// only returns the client of a producer of one part. The functions of the reaper use it.
func (p *Producer) only() redis.UniversalClient { return p.parts.All()[0] }

// stepFunction is Lua that enqueues a task, as asynq's own script does (enqueueCmd in internal/rdb/rdb.go, v0.26) but
// in its flow if others wait, and wakes a consumer. keys and args are those of a Task.
const stepFunction = flows.Tokens + flows.Enter + `
local function step(keys, args)
	redis.call("HSET", keys[1], "msg", args[1], "state", "pending", "pending_since", args[3])
	if args[4] then
		wait_turn(args[4], args[5], args[6], args[7], args[2], keys[2])
	else
		redis.call("LPUSH", keys[2], args[2])
		push_tokens(keys[3], 1)
	end
end
`

// enqueueScript enqueues a task unless it exists, and wakes a consumer in either case: the task may have been moved
// into the queue by another script. KEYS and ARGV are those of a Task. It returns 1 if the task was enqueued, 0 if it
// exists.
var enqueueScript = redis.NewScript(stepFunction + `
if redis.call("EXISTS", KEYS[1]) == 1 then
	push_tokens(KEYS[3], 1)
	return 0
end
step(KEYS, ARGV)
return 1`)

// Task is a job's task, to be enqueued by a script that does something else as well.
type Task struct {
	// Lua defines the function step(keys, args), which enqueues it.
	Lua string
	// Keys are asynq:{queue}:t:{id}, asynq:{queue}:pending, and the list of tokens that wakes the queue's consumers.
	Keys []string
	// Args are the encoded task, its id, and the time in nanoseconds since 1970; for a job also its environment,
	// tenant, flow and terms (see package flows).
	Args []any
}

// taskKey is the key of the *Task in a context with which asynq is to encode a task, and not to enqueue it. routeKey is
// that of the route with which asynq enqueues a job.
type (
	taskKey  struct{}
	routeKey struct{}
)

// producerClient is the Redis client of asynq's producer. It wakes a consumer in the same step in which asynq enqueues
// a task; see wake.go.
type producerClient struct{ redis.UniversalClient }

// EvalSha implements redis.Scripter. It recognizes asynq's script by its keys.
func (c producerClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if !fillsQueue(keys) {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	task := Task{Lua: stepFunction, Keys: append(keys[:2:2], tokensOf(queueOfKey(keys[1]))), Args: args[:3:3]}
	if route, ok := ctx.Value(routeKey{}).(jobs.Route); ok {
		task.Args = append(task.Args, flows.Args(route)...)
	}
	if wanted, ok := ctx.Value(taskKey{}).(*Task); ok {
		*wanted = task
		reply := redis.NewCmd(ctx)
		reply.SetVal(int64(1))
		return reply
	}
	return enqueueScript.Run(ctx, c.UniversalClient, task.Keys, task.Args...)
}

// Task returns the task of a job, for a script that stores the job and enqueues it in the same step.
func (p *Producer) Task(ctx context.Context, id string, route jobs.Route) (Task, error) {
	var task Task
	err := p.Enqueue(context.WithValue(ctx, taskKey{}, &task), id, route)
	return task, err
}

// Enqueue enqueues a job that is in the store. It does nothing if the job is enqueued already, so it may be repeated
// after an error.
func (p *Producer) Enqueue(ctx context.Context, id string, route jobs.Route) error {
	ctx = context.WithValue(ctx, routeKey{}, route)
	_, err := p.tasks[p.parts.Index(id)].EnqueueContext(ctx, asynq.NewTask(taskType, []byte(id)),
		asynq.TaskID(id), asynq.Queue(queueOf(route)), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	// A conflict means that the task exists already: the client repeats a command whose reply was lost.
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue job %s: %w", id, err)
	}
	return nil
}
