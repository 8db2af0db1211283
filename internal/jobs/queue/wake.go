package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/flows"
)

// How an idle worker is woken.
//
// asynq polls: a server that finds its queues empty sleeps for half to one and a half times its TaskCheckInterval.
// With the default of a second, an idle worker takes a job after 500 ms at the median; a shorter interval costs
// commands, from every idle worker, all day.
//
// So the idle wait happens in Redis instead, on a list of tokens. The producer pushes one token with each task; a
// worker that found the queue empty pops one, blocking, and only then returns "empty" to asynq. asynq then hardly
// sleeps before it polls again.
//
//   - One push wakes one worker, the one that has waited longest. The known trick without tokens, BLMOVE of the waiting
//     list's end onto itself, wakes all idle workers for each push, so the commands for each job grow with the fleet. A
//     token costs at most one BLPOP and one poll, however many workers are idle.
//   - No task is overlooked: its token is pushed with it, and every pop is followed by a poll. If the list is full,
//     the tokens in it are enough.
//   - Tokens outlive their tasks when busy workers find the next task by themselves. They are popped later without
//     effect, at most maxTokens of them.
//   - Each environment besides the default has lists of its own (environments.go).
//   - A job pushes its token into the first list if no other of its flow waits, else into the list of spilled tokens. A
//     consumer whose last poll passed over jobs, of tenants that have all the slots they may have, waits for the first
//     list only: otherwise each new job of these tenants would wake it for nothing. If a token brought it nothing but
//     such jobs, the poll pushes it into the spilled ones: another consumer, which may run them, may wait for it. What
//     other consumers pass over differs, so it listens to the spilled tokens too until that was for nothing, once in
//     leftPoll, and polls that often.
//   - A token is lost with a worker that dies between the pop and the poll. Its task then waits until any worker polls
//     without a token: wakePoll at most.
//
// TestIdleDispatch and its neighbour log the time from before the enqueue to the handler's start, and the commands of a
// job. (BLMOVE by itself would be faster, but asynq's lease would begin before the wait, and it wakes all workers.)
const (
	// wakePoll is how long an idle worker waits before it polls without a token.
	wakePoll = 5 * time.Second
	// leftPoll is the same for one that has left jobs of tenants at their bound. (go-redis waits for whole seconds.)
	leftPoll = time.Second
	// wakeSlack is how late the reply to a blocking pop may be.
	wakeSlack = 2 * time.Second
	// stopKeyTTL is how long a stopping consumer's stopKey is kept.
	stopKeyTTL = 30 * time.Second
	// stoppingPause is how long a stopping consumer waits between polls.
	stoppingPause = time.Millisecond
	// failurePause is how long a consumer waits after a failed poll; asynq itself would poll again at once.
	failurePause = 200 * time.Millisecond
)

// wakeScript pushes tokens into a list, which is bounded.
//
//	KEYS[1]  the list, as of tokensOf
//	ARGV[1]  number of tokens
//	returns  1
var wakeScript = redis.NewScript(flows.Tokens + `
push_tokens(KEYS[1], tonumber(ARGV[1]))
return 1`)

// wake pushes n tokens into a list.
func wake(ctx context.Context, client redis.Scripter, tokens string, n int) error {
	return wakeScript.Run(ctx, client, []string{tokens}, n).Err()
}

// consumerClient is the Redis client of asynq's server. It does the idle wait, looks into all queues and flows at once
// (poll.go), leaves out upkeep that is for nothing (upkeep.go), and corrects one more thing.
//
// Commands run under a context that cannot be cancelled: after a job asynq writes with a context that it cancels when
// the write fails, and passes the same one to the goroutine that repeats the write once Redis is back (processor.go,
// since v0.25). The repeated write would never succeed, and the job would be delivered again or archived as failed.
// The client's own timeouts bound the commands.
//
// Tasks that asynq itself would move into the queue, after a retry's delay, are put into their flows, and wake workers.
type consumerClient struct {
	redis.UniversalClient
	// polled is what the consumer takes from.
	polled   atomic.Pointer[polled]
	stopKey  string
	stopping <-chan struct{}
	stopped  context.Context //nolint:containedctx // ends with stopping
	slots    *slots
	// turns are those of a Consumers; nil for a consumer alone. inTurn reports that this one may poll; only asynq's
	// fetching goroutine uses it.
	turns  *turns
	inTurn bool
	// woken is the list of the token that ended the last wait, "" for none, and spilledAt when a token last brought
	// nothing but jobs that were passed over. Only asynq's fetching goroutine uses them.
	woken     string
	spilledAt time.Time
	// scripts contain the step, and replies has what that returned.
	scripts scripts
	step    Step
	replies replies
	// forwardInterval is how often asynq forwards tasks whose pause is over.
	forwardInterval time.Duration
	upkeep          upkeep
}

// EvalSha implements redis.Scripter. It recognizes asynq's scripts by their keys.
func (c *consumerClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	ctx = context.WithoutCancel(ctx)
	switch {
	case isDequeue(keys):
		return c.poll(ctx, args)
	case isDone(keys):
		return doneScript.Run(ctx, c.UniversalClient, keys[:3], args[0]) //nolint:gosec // isDone has counted them
	case fillsQueue(keys):
		return c.forward(ctx, partOfKey(keys[0]), args[0])
	case isExpiry(keys):
		reply := redis.NewCmd(ctx)
		reply.SetVal(int64(0))
		return reply
	case isPublication(keys[0]):
		return redis.NewCmd(ctx)
	}
	reply := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	c.notePause(keys)
	if reply.Err() == nil && isLeaseCheck(keys) {
		c.checkLeases(ctx, sha, keys, args, reply)
	}
	return reply
}

// Eval implements redis.Scripter, for scripts that Redis does not have yet.
func (c *consumerClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	reply := c.UniversalClient.Eval(context.WithoutCancel(ctx), script, keys, args...)
	c.notePause(keys)
	return reply
}

// awaitToken waits until there may be work, or until stop. left reports that the last poll passed over jobs. Only
// asynq's fetching goroutine calls it.
func (c *consumerClient) awaitToken(left bool) {
	select {
	case <-c.stopping: // asynq goes on polling until its shutdown
		time.Sleep(stoppingPause)
		return
	default:
	}
	from := c.polled.Load()
	lists, wait := append([]string{c.stopKey}, from.tokens...), wakePoll
	if left {
		wait = leftPoll
	}
	if !left || time.Since(c.spilledAt) > leftPoll {
		lists = append(lists, from.spills...)
	}
	for c.popsNothing(lists, wait) {
		select {
		case <-c.stopping: // its token may have been refused
			return
		default:
		}
	}
}

// popsNothing waits for a token, for at most a time, and reports whether to go on waiting: there was none, and there is
// no work.
func (c *consumerClient) popsNothing(lists []string, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), wait+wakeSlack)
	defer cancel()
	popped, err := c.BLPop(ctx, wait, lists...).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return wait == wakePoll && c.nothingAtAll(ctx)
	case err != nil:
		c.pause()
	case popped[0] != c.stopKey:
		c.woken = popped[0]
	}
	return false
}

func (c *consumerClient) pause() {
	timer := time.NewTimer(failurePause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.stopping:
	}
}

// release ends the wait for a token. It does not cancel the pop: Redis could send a token to a connection that is just
// closing.
func (c *consumerClient) release(ctx context.Context) error {
	_, err := c.Pipelined(ctx, func(tx redis.Pipeliner) error {
		tx.LPush(ctx, c.stopKey, "")
		tx.Expire(ctx, c.stopKey, stopKeyTTL)
		return nil
	})
	if err != nil {
		return fmt.Errorf("release the waiting consumer: %w", err)
	}
	return nil
}
