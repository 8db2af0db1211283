package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
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
//   - Jobs of batches have a separate list, on which a worker that may run no more of them does not wait: otherwise it
//     would pop a token without using it while another worker, which could run the job, sleeps.
//   - A token is lost with a worker that dies between the pop and the poll. Its task then waits until any worker polls
//     without a token: wakePoll at most.
//
// TestIdleDispatch and its neighbour log the time from before the enqueue to the handler's start, and the commands of a
// job. (BLMOVE by itself would be faster, but asynq's lease would begin before the wait, and it wakes all workers.)
const (
	// maxTokens bounds the list. It exceeds the number of workers of any deployment.
	maxTokens = 1024
	// tokensTTL is how long the tokens of an environment are kept, in seconds: it may be removed for good.
	tokensTTL = "86400"
	// wakePoll is how long an idle worker waits before it polls without a token.
	wakePoll = 5 * time.Second
	// wakeSlack is how late the reply to a blocking pop may be.
	wakeSlack = 2 * time.Second
	// stopKeyTTL is how long a stopping consumer's stopKey is kept.
	stopKeyTTL = 30 * time.Second
	// stoppingPause is how long a stopping consumer waits between polls.
	stoppingPause = time.Millisecond
	// failurePause is how long a consumer waits after a failed poll; asynq itself would poll again at once.
	failurePause = 200 * time.Millisecond
)

// tokensFunction is Lua that pushes tokens until there are n more of them or the list has max.
const tokensFunction = `
local function push_tokens(list, n, max)
	for i = 1, n do
		if redis.call("LPUSH", list, "") > tonumber(max) then
			redis.call("LPOP", list)
			break
		end
	end
	if string.find(list, ":` + environmentPrefix + `", 1, true) then
		redis.call("EXPIRE", list, ` + tokensTTL + `)
	end
end
`

// wakeScript pushes tokens until the list is full.
//
//	KEYS[1]  the list, as of wakeList
//	ARGV[1]  number of tokens
//	ARGV[2]  maximum length of the list
//	returns  1
var wakeScript = redis.NewScript(tokensFunction + `
push_tokens(KEYS[1], ARGV[1], ARGV[2])
return 1`)

// wake pushes n tokens into a list.
func wake(ctx context.Context, client redis.Scripter, tokens string, n int) error {
	return wakeScript.Run(ctx, client, []string{tokens}, n, maxTokens).Err()
}

// consumerClient is the Redis client of asynq's server. It does the idle wait, looks into all queues at once (poll.go),
// leaves out upkeep that is for nothing (upkeep.go), and corrects one more thing.
//
// Commands run under a context that cannot be cancelled: after a job asynq writes with a context that it cancels when
// the write fails, and passes the same one to the goroutine that repeats the write once Redis is back (processor.go,
// since v0.25). The repeated write would never succeed, and the job would be delivered again or archived as failed.
// The client's own timeouts bound the commands.
//
// Tasks that asynq itself moves into the queue, after a retry's delay, wake workers too.
type consumerClient struct {
	redis.UniversalClient
	// polled is what the consumer takes from, and asynqQueues how many of its queues asynq knows.
	polled      atomic.Pointer[polled]
	asynqQueues int
	stopKey     string
	stopping    <-chan struct{}
	// batches bounds the concurrent jobs of batches of this consumer.
	batches *batchLimiter
	round   round
	// script is pollScript with the step, and replies has what that returned.
	script  *redis.Script
	step    Step
	replies replies
	// forwardInterval is how often asynq forwards tasks whose pause is over.
	forwardInterval time.Duration
	pauses          pauses
}

// EvalSha implements redis.Scripter. It recognizes asynq's scripts by their keys.
func (c *consumerClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	ctx = context.WithoutCancel(ctx)
	switch {
	case isDequeue(keys):
		return c.poll(ctx, args)
	case isDone(keys):
		return doneScript.Run(ctx, c.UniversalClient, keys[:3], args[0]) //nolint:gosec // isDone has counted them
	case fillsQueue(keys) && c.nothingPaused(ctx), isExpiry(keys):
		reply := redis.NewCmd(ctx)
		reply.SetVal(int64(0))
		return reply
	case isPublication(keys[0]):
		return redis.NewCmd(ctx)
	}
	reply := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	c.noteMoves(keys, reply)
	switch {
	case reply.Err() != nil:
	case fillsQueue(keys):
		c.forwardOthers(ctx, sha, keys, args)
	case isLeaseCheck(keys):
		c.checkLeases(ctx, sha, keys, args, reply)
	}
	return reply
}

// Eval implements redis.Scripter, for scripts that Redis does not have yet.
func (c *consumerClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	reply := c.UniversalClient.Eval(context.WithoutCancel(ctx), script, keys, args...)
	c.noteMoves(keys, reply)
	return reply
}

// noteMoves wakes workers for the tasks that asynq has forwarded, and notes that one was put off.
func (c *consumerClient) noteMoves(keys []string, reply *redis.Cmd) {
	if !fillsQueue(keys) {
		if pausesTask(keys) {
			c.pauses.forget()
		}
		return
	}
	if reply.Err() != nil {
		return
	}
	if n, _ := reply.Int(); n > 0 {
		// If it fails, the poll finds them.
		_ = wake(context.Background(), c.UniversalClient, wakeList(queueOfKey(keys[1])), n)
	}
}

// awaitToken waits until there may be work, or until stop. Only asynq's fetching goroutine calls it.
func (c *consumerClient) awaitToken() {
	select {
	case <-c.stopping: // asynq goes on polling until its shutdown
		time.Sleep(stoppingPause)
		return
	default:
	}
	from := c.polled.Load()
	lists := append([]string{c.stopKey}, from.tokens...)
	if !c.round.skipped { // else the end of a batch's job ends the wait
		lists = append(lists, from.batchTokens...)
	}
	for c.popsNothing(lists) {
		select {
		case <-c.stopping: // its token may have been refused
			return
		default:
		}
	}
}

// popsNothing waits for a token, for at most wakePoll, and reports whether to go on waiting: there was none, and there
// is no work.
func (c *consumerClient) popsNothing(lists []string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), wakePoll+wakeSlack)
	defer cancel()
	err := c.BLPop(ctx, wakePoll, lists...).Err()
	if errors.Is(err, redis.Nil) {
		return c.nothingAtAll(ctx)
	}
	if err != nil {
		c.pause()
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
