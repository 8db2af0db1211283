package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// How a consumer looks for a task.
//
// asynq asks its queues one after the other, in an order that it draws anew each time, by a script for each. With four
// queues nearly five of six of these round trips find nothing. So the first question of a round is answered by one
// script that looks into all queues, also those of environments, which asynq does not know (environments.go): a task
// names its queue, so it does not matter which question it answers.

// pollScript takes the next task of the first queue that has one. It does to that queue what asynq's own script does
// (dequeueCmd in internal/rdb/rdb.go, v0.26), and is over after one command if all queues are empty.
//
//	KEYS[4i+1]  asynq:{queue}:pending of queue i, from 0
//	KEYS[4i+2]  asynq:{queue}:paused
//	KEYS[4i+3]  asynq:{queue}:active
//	KEYS[4i+4]  asynq:{queue}:lease
//	ARGV[1]     when the lease expires, in seconds since 1970
//	ARGV[2+i]   prefix of the keys of its tasks
//	ARGV[…]     arguments of the step
//	returns     nil, or i, the encoded task (false if it has no record), its id, and what the step returned
//	            (nothing if it failed)
const pollScript = `
local pending, paused = {}, {}
for i = 1, #KEYS, 4 do
	table.insert(pending, KEYS[i])
	table.insert(paused, KEYS[i + 1])
end
if redis.call("EXISTS", unpack(pending)) == 0 then
	return nil
end
local some_paused = redis.call("EXISTS", unpack(paused)) > 0
for i = 0, #pending - 1 do
	local list, _, active, lease = unpack(KEYS, 4 * i + 1, 4 * i + 4)
	local skipped = some_paused and redis.call("EXISTS", paused[i + 1]) == 1
	local id = not skipped and redis.call("RPOPLPUSH", list, active)
	if id then
		local task = ARGV[i + 2] .. id
		redis.call("HSET", task, "state", "active")
		redis.call("HDEL", task, "pending_since")
		redis.call("ZADD", lease, ARGV[1], id)
		local message = redis.call("HGET", task, "msg")
		if not message then
			return {i, false}
		end
		-- The task is taken: an error of the step must not keep it from its handler.
		local done, reply = pcall(step, id, {unpack(ARGV, #pending + 2)})
		return {i, message, id, done and reply or nil}
	end
end
return nil`

// Step is what else a consumer's script does with a task that it takes: a function of another package.
type Step struct {
	// Lua defines the function step(id, args). Its reply is Delivery.Reply.
	Lua  string
	Args []any
}

// noStep does nothing.
var noStep = Step{Lua: "local function step() end\n"}

// replies are what steps returned for the tasks that asynq has not handed to the handler yet, by id.
type replies struct {
	mu   sync.Mutex
	byID map[string][]string
}

func (r *replies) keep(id string, reply []any) {
	texts := make([]string, len(reply))
	for i, part := range reply {
		texts[i], _ = part.(string)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[string][]string{}
	}
	r.byID[id] = texts
}

func (r *replies) take(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	reply := r.byID[id]
	delete(r.byID, id)
	return reply
}

// round is one poll of all queues. Only asynq's fetching goroutine uses it.
type round struct {
	// asked counts the queues that asynq has asked in this round.
	asked int
	// queue is the queue that had a task; "" if none had. task is nil if the task had no record.
	queue string
	task  any
	err   error
	// skipped reports that the queue of batches was left out.
	skipped bool
}

// poll answers asynq's question for a task of one queue. args are those of asynq's script.
func (c *consumerClient) poll(ctx context.Context, args []any) *redis.Cmd {
	if c.round.asked == 0 {
		c.round = c.look(ctx, args[0])
	}
	c.round.asked++
	reply, end := redis.NewCmd(ctx), true
	switch r := c.round; {
	case r.err != nil:
		reply.SetErr(r.err)
		c.pause()
	case r.task != nil:
		reply.SetVal(r.task)
		if isBatch(r.queue) {
			c.batches.expect()
		}
	default:
		reply.SetErr(redis.Nil) // this queue is empty
		// After a task without a record the queues behind it were not looked into.
		if end = r.asked == c.asynqQueues; end && r.queue == "" {
			c.awaitToken()
		}
	}
	if end {
		c.round.asked = 0
	}
	return reply
}

// look looks into all queues. leaseExpiry is asynq's.
func (c *consumerClient) look(ctx context.Context, leaseExpiry any) round {
	order := drawOrder(c.polled.Load().queues)
	r := round{skipped: slices.ContainsFunc(order, isBatch) && c.batches.full()}
	if r.skipped {
		order = slices.DeleteFunc(order, isBatch)
	}
	var keys []string
	args := []any{leaseExpiry}
	for _, queue := range order {
		keys = append(keys, key(queue, "pending"), key(queue, "paused"), key(queue, "active"), key(queue, "lease"))
		args = append(args, key(queue, "t:"))
	}
	found, err := c.script.Run(ctx, c.UniversalClient, keys, append(args, c.step.Args...)...).Slice()
	switch {
	case errors.Is(err, redis.Nil):
	case err != nil:
		r.err = err
	default:
		if i, ok := found[0].(int64); ok {
			r.queue = order[i]
		}
		if len(found) > 1 {
			r.task = found[1]
		}
		if len(found) > 3 { //nolint:mnd // as pollScript returns it
			id, _ := found[2].(string)
			if reply, ok := found[3].([]any); ok {
				c.replies.keep(id, reply)
			}
		}
	}
	return r
}

// drawOrder returns the queues as asynq orders them, at random by their weights.
func drawOrder(queues map[string]int) []string {
	var drawn []string
	for queue, weight := range queues {
		drawn = append(drawn, slices.Repeat([]string{queue}, weight)...)
	}
	rand.Shuffle(len(drawn), func(i, j int) { //nolint:gosec // fairness, no secret
		drawn[i], drawn[j] = drawn[j], drawn[i]
	})
	order := make([]string, 0, len(queues))
	for _, queue := range drawn {
		if !slices.Contains(order, queue) {
			order = append(order, queue)
		}
	}
	return order
}

// isDequeue recognizes asynq's script that takes a task: pending, paused, active, lease.
func isDequeue(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused")
}

// queueOfKey returns the queue of one of asynq's keys.
func queueOfKey(key string) string {
	_, after, _ := strings.Cut(key, "{")
	queue, _, _ := strings.Cut(after, "}")
	return queue
}

// partOfKey returns what follows the queue in one of asynq's keys, such as "pending".
func partOfKey(key string) string {
	_, after, _ := strings.Cut(key, "}:")
	return after
}
