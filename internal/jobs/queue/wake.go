package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// How an idle worker is woken.
//
// asynq polls: a server that finds its queues empty sleeps for half to one and a
// half times its TaskCheckInterval. With the default of a second that is 500 ms
// at the median until an idle worker takes a job up; a shorter interval buys
// time with commands, from every idle worker, all day.
//
// So the idle wait happens in Redis instead. There is a list of tokens. Whoever
// puts a task into the queue pushes one token after it; a worker that found the
// queue empty pops one, blocking, and only then lets asynq hear "empty". asynq's
// own sleep is then next to nothing, and it looks again.
//
//   - One push wakes one worker, the one that waits longest. The known trick
//     without tokens, BLMOVE of the waiting list's end onto itself, wakes all
//     that are idle for each push, so the commands for each job grow with the
//     fleet. A token costs at most one BLPOP and one look, however many idle.
//   - No task is overlooked: its token is pushed after it, and every pop is
//     followed by a look. If the list is full, the tokens in it are enough.
//   - Tokens outlive their tasks when busy workers find the next task by
//     themselves. They are popped later for nothing, at most maxTokens of them.
//   - Jobs of batches have a list of their own, on which a worker that may have no
//     more of them does not wait: else it would pop a token that it leaves unused
//     while another one, which has room, sleeps.
//   - A token is lost with a worker that dies between the pop and the look. Its
//     task then waits until any worker looks again by itself: wakePoll at most.
//
// Measured on two busy cores: 1.4 ms at the median from before the enqueue to
// the handler's start, 0.1 to 0.3 ms of it asynq's sleep by its formula. Enqueueing, handling
// nothing and acknowledging takes 21 commands with one idle worker and 25 with
// twenty, those inside scripts counted. TestIdleDispatch and its neighbour log
// both. (BLMOVE gave 0.6 to 0.8 ms: it looks again by itself, with a lease whose
// age it cannot renew, and wakes everybody.)
const (
	wakeKey = "cellblock:wake"
	// batchWakeKey is the list for jobs of batches, in the same slot.
	batchWakeKey = "{" + wakeKey + "}:" + batchQueue
	// maxTokens bounds the list. It is above the number of workers anybody has.
	maxTokens = 1024
	// wakePoll is how long an idle worker waits before it looks by itself.
	wakePoll = 5 * time.Second
	// wakeSlack is what a blocking pop's reply may be late.
	wakeSlack = 2 * time.Second
	// stopKeyTTL is how long a stopping consumer's own key is kept.
	stopKeyTTL = 30 * time.Second
	// failurePause is how long a consumer waits after a failed look; asynq itself
	// would look again at once, and again.
	failurePause = 200 * time.Millisecond
)

// stopKey is a list of one consumer's own, on which its blocking pop waits too.
// The hash tag puts it into the slot of its tokens in a cluster.
func stopKey(tokens, consumer string) string { return "{" + tokens + "}:stop:" + consumer }

// wakeScript pushes tokens, as far as there is room.
//
//	KEYS[1]  the list of tokens
//	ARGV     how many, how many there may be
var wakeScript = redis.NewScript(`
for i = 1, math.min(ARGV[1], ARGV[2] - redis.call("LLEN", KEYS[1])) do
	redis.call("LPUSH", KEYS[1], "")
end
return 1`)

// wake pushes n tokens into a list of them.
func wake(ctx context.Context, client redis.Scripter, tokens string, n int) error {
	return wakeScript.Run(ctx, client, []string{tokens}, n, maxTokens).Err()
}

// wakeList is where the tokens for a queue of jobs go.
func wakeList(queue string) string {
	if queue == batchQueue {
		return batchWakeKey
	}
	return wakeKey
}

// consumerClient is the Redis client that asynq's server gets. It is where the
// idle wait happens, and it mends two more things.
//
// Commands run under a context that cannot be cancelled: after a job asynq
// writes with a context that it cancels when the write fails, and hands the same
// one to the goroutine that is to repeat the write once Redis is back
// (processor.go, since v0.25). It would never succeed, and the job be delivered
// again or set aside as failed. The client's own timeouts bound the commands.
//
// Tasks that asynq moves to the queue by itself, after a retry's delay, wake
// workers too.
type consumerClient struct {
	redis.UniversalClient
	// tokens is the list that wakes the consumer, batchTokens that of jobs of batches
	// ("" for none), and queues is how many queues it looks into.
	tokens      string
	batchTokens string
	queues      int
	stopKey     string
	stopping    <-chan struct{}
	// batches bounds the jobs of batches that are at work here.
	batches *share
	// empty counts the queues found empty in a row; only the goroutine with which
	// asynq fetches tasks uses it.
	empty int
	// skipped tells that this round did not look for jobs of batches; likewise.
	skipped bool
}

// EvalSha implements redis.Scripter.
func (c *consumerClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	ctx = context.WithoutCancel(ctx)
	if isDequeue(keys) && keys[0] == key(batchQueue, "pending") {
		if c.skipped = c.batches.taken(); c.skipped {
			reply := redis.NewCmd(ctx)
			reply.SetErr(redis.Nil) // as if there were none
			c.looked(redis.Nil)
			return reply
		}
	}
	reply := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	c.follow(keys, reply)
	return reply
}

// Eval implements redis.Scripter.
func (c *consumerClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	reply := c.UniversalClient.Eval(context.WithoutCancel(ctx), script, keys, args...)
	c.follow(keys, reply)
	return reply
}

// follow does what is to be done after one of asynq's scripts. Those that
// matter are known by their keys.
func (c *consumerClient) follow(keys []string, reply *redis.Cmd) {
	err := reply.Err()
	switch {
	case isDequeue(keys):
		c.looked(err)
		if err == nil && keys[0] == key(batchQueue, "pending") {
			c.batches.expect()
		}
	case isForward(keys) && err == nil:
		if n, _ := reply.Int(); n > 0 {
			// If it fails, the poll finds them.
			tokens := c.tokens
			if keys[1] == key(batchQueue, "pending") {
				tokens = c.batchTokens
			}
			_ = wake(context.Background(), c.UniversalClient, tokens, n)
		}
	}
}

// looked follows a look into one queue. asynq looks into one after the other,
// each once, until it finds a task.
func (c *consumerClient) looked(err error) {
	switch {
	case redis.HasErrorPrefix(err, "NOSCRIPT"): // the same look comes again
	case errors.Is(err, redis.Nil):
		if c.empty++; c.empty == c.queues {
			c.empty = 0
			c.awaitToken()
		}
	default:
		c.empty = 0
		if err != nil {
			c.pause()
		}
	}
}

// isDequeue knows asynq's look for a task: pending, paused, active, lease.
func isDequeue(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused")
}

// isForward knows asynq's move of tasks whose delay is over.
func isForward(keys []string) bool { return len(keys) == 2 && strings.HasSuffix(keys[1], ":pending") }

// awaitToken waits for a token, for wakePoll at most, or until stop. Only the
// goroutine with which asynq fetches tasks gets here.
func (c *consumerClient) awaitToken() {
	select {
	case <-c.stopping:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), wakePoll+wakeSlack)
	defer cancel()
	lists := []string{c.stopKey, c.tokens}
	if c.batchTokens != "" && !c.skipped { // else the end of one of those jobs releases it
		lists = append(lists, c.batchTokens)
	}
	err := c.BLPop(ctx, wakePoll, lists...).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		c.pause()
	}
}

func (c *consumerClient) pause() {
	timer := time.NewTimer(failurePause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.stopping:
	}
}

// release ends the wait for a token. The pop is not cut off from our side: Redis could hand a token to a connection
// that is just closing.
func (c *consumerClient) release(ctx context.Context) error {
	_, err := c.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.LPush(ctx, c.stopKey, "")
		tx.Expire(ctx, c.stopKey, stopKeyTTL)
		return nil
	})
	if err != nil {
		return fmt.Errorf("release the waiting consumer: %w", err)
	}
	return nil
}
