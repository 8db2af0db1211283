// Package queue brings job ids from the API to a worker. It stands on asynq,
// and everything that asynq v0.26 does otherwise than we need is here:
//
//   - Tasks carry only the id. asynq writes whole payloads again and again.
//   - An idle worker waits in Redis until there is work; see wake.go.
//   - What asynq writes after a job does not fail with its cancelled context;
//     see consumerClient.
//   - Callbacks of jobs that have ended go the same way in a queue of their own,
//     to the API; see callbacks.go.
//   - A delivery is not a start. asynq may deliver a task twice (a lost lease),
//     so the receiver sets the job's fence before it runs anything, and delivery
//     is repeated until the receiver says that it is done.
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

	// maxRetry is never reached: asynq puts a task aside whose retries are spent,
	// and its job would neither run nor end. The receiver decides when to give up.
	maxRetry = 1_000_000
	// taskTimeout is far above any wall limit: when it is over, asynq forgets the
	// handler that still runs and gives its place away. Jobs are ended by our own
	// clock.
	taskTimeout = 24 * time.Hour
)

// weights are how often a worker looks into each queue first, when all have work.
var weights = map[string]int{
	string(jobs.PriorityHigh):    6,
	string(jobs.PriorityDefault): 3,
	string(jobs.PriorityLow):     1,
	batchQueue:                   1,
}

const batchQueue = string(jobs.PriorityBatch)

// queueOf is the queue of a priority; "" is that of PriorityDefault.
func queueOf(p jobs.Priority) string {
	if p == "" {
		return string(jobs.PriorityDefault)
	}
	return string(p)
}

// key is where asynq keeps something of a queue, such as "pending".
func key(queue, what string) string { return "asynq:{" + queue + "}:" + what }

// Producer puts jobs into the queue. It is safe for concurrent use.
type Producer struct {
	client redis.UniversalClient
	tasks  *asynq.Client
}

// NewProducer makes a producer on a client that the caller keeps and closes later.
func NewProducer(client redis.UniversalClient) *Producer {
	return &Producer{client: client, tasks: asynq.NewClientFromRedisClient(client)}
}

// Enqueue puts a job that is in the store into the queue. To do it twice does
// nothing, so it may be repeated after an error.
func (p *Producer) Enqueue(ctx context.Context, id string, priority jobs.Priority) error {
	_, err := p.tasks.EnqueueContext(ctx, asynq.NewTask(taskType, []byte(id)),
		asynq.TaskID(id), asynq.Queue(queueOf(priority)), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	// A conflict means that it is there already: the client repeats a command
	// whose reply was lost.
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue job %s: %w", id, err)
	}
	if err := wake(ctx, p.client, wakeList(queueOf(priority)), 1); err != nil {
		return fmt.Errorf("wake a worker for job %s: %w", id, err)
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
