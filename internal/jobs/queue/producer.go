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

// weights are how often a worker polls each queue first when all have work.
var weights = map[string]int{
	string(jobs.PriorityHigh):    6,
	string(jobs.PriorityDefault): 3,
	string(jobs.PriorityLow):     1,
	batchQueue:                   1,
}

const batchQueue = string(jobs.PriorityBatch)

// queueOf returns the queue of a priority; "" means PriorityDefault.
func queueOf(p jobs.Priority) string {
	if p == "" {
		return string(jobs.PriorityDefault)
	}
	return string(p)
}

// Producer enqueues jobs. It is safe for concurrent use.
type Producer struct {
	client redis.UniversalClient
	tasks  *asynq.Client
}

// NewProducer returns a producer on a client that the caller owns and closes later.
func NewProducer(client redis.UniversalClient) *Producer {
	return &Producer{client: client, tasks: asynq.NewClientFromRedisClient(producerClient{client})}
}

// enqueueScript enqueues a task unless it exists, as asynq's own script does (enqueueCmd in internal/rdb/rdb.go,
// v0.26), and wakes a consumer in either case: the task may have been moved into the queue by another script.
//
//	KEYS[1]  asynq:{queue}:t:{id}
//	KEYS[2]  asynq:{queue}:pending
//	KEYS[3]  the list of tokens that wakes the queue's consumers
//	ARGV[1]  encoded task
//	ARGV[2]  id
//	ARGV[3]  time in nanoseconds since 1970
//	ARGV[4]  maximum length of the list of tokens
//	returns  1 if the task was enqueued, 0 if it exists
var enqueueScript = redis.NewScript(tokensFunction + `
local enqueued = 0
if redis.call("EXISTS", KEYS[1]) == 0 then
	redis.call("HSET", KEYS[1], "msg", ARGV[1], "state", "pending", "pending_since", ARGV[3])
	redis.call("LPUSH", KEYS[2], ARGV[2])
	enqueued = 1
end
push_tokens(KEYS[3], 1, ARGV[4])
return enqueued`)

// producerClient is the Redis client of asynq's producer. It wakes a consumer in the same step in which asynq enqueues
// a task; see wake.go.
type producerClient struct{ redis.UniversalClient }

// EvalSha implements redis.Scripter. It recognizes asynq's script by its keys.
func (c producerClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if !fillsQueue(keys) {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	return enqueueScript.Run(ctx, c.UniversalClient, append(keys[:2:2], wakeList(queueOfKey(keys[1]))),
		append(args[:3:3], maxTokens)...)
}

// Enqueue enqueues a job that is in the store. It does nothing if the job is enqueued already, so it may be repeated
// after an error.
func (p *Producer) Enqueue(ctx context.Context, id string, priority jobs.Priority) error {
	_, err := p.tasks.EnqueueContext(ctx, asynq.NewTask(taskType, []byte(id)),
		asynq.TaskID(id), asynq.Queue(queueOf(priority)), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	// A conflict means that the task exists already: the client repeats a command whose reply was lost.
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue job %s: %w", id, err)
	}
	return nil
}

// Depth counts the jobs that wait for a worker.
func (p *Producer) Depth(ctx context.Context) (int, error) {
	pipeline := p.client.Pipeline()
	var lengths []*redis.IntCmd
	for queue := range weights {
		lengths = append(lengths, pipeline.LLen(ctx, key(queue, "pending")))
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return 0, fmt.Errorf("read the queue's depth: %w", err)
	}
	n := 0
	for _, length := range lengths {
		n += int(length.Val())
	}
	return n, nil
}
