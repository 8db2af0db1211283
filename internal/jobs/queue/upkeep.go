package queue

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// What asynq's server does besides handling tasks, from each worker and mostly for nothing: it would be most of what a
// large fleet asks of Redis.
//
//   - It forwards tasks whose pause is over, by two scripts for each queue. One command finds out whether any queue has
//     such tasks at all; that of an idle worker's wait, if it is recent enough.
//   - It deletes tasks that were kept after their end. None are: the record of a job is the store's.
//   - It publishes what its server and handlers do, for tools that list them. Cellblock has records of its own for
//     that, with liveness by Redis's clock.
//   - It counts the tasks that are done, by day and in all.

// doneScript removes a task that was handled, as asynq's own script does (doneCmd in internal/rdb/rdb.go, v0.26), but
// for its counters.
//
//	KEYS[1]  asynq:{queue}:active
//	KEYS[2]  asynq:{queue}:lease
//	KEYS[3]  asynq:{queue}:t:{id}
//	ARGV[1]  id
//	returns  OK, or the error NOT FOUND if another consumer has it by now
var doneScript = redis.NewScript(`
if redis.call("LREM", KEYS[1], 0, ARGV[1]) == 0 or redis.call("ZREM", KEYS[2], ARGV[1]) == 0 or
		redis.call("DEL", KEYS[3]) == 0 then
	return redis.error_reply("NOT FOUND")
end
return redis.status_reply("OK")`)

// isDone recognizes asynq's script for a task that was handled.
func isDone(keys []string) bool {
	return len(keys) == 5 && strings.HasSuffix(keys[0], ":active") && strings.HasSuffix(keys[1], ":lease") &&
		strings.HasSuffix(keys[4], ":processed")
}

// fillsQueue recognizes asynq's scripts that put tasks into a queue: the server's, which forwards those whose pause is
// over, and the client's, which enqueues one.
func fillsQueue(keys []string) bool { return len(keys) == 2 && strings.HasSuffix(keys[1], ":pending") }

// isExpiry recognizes asynq's deletion of tasks that were kept after their end.
func isExpiry(keys []string) bool { return len(keys) == 1 && strings.HasSuffix(keys[0], ":completed") }

// The sets in which asynq publishes its servers, and the prefixes of the keys that they name.
const (
	serversKey  = "asynq:servers"
	handlersKey = "asynq:workers"
)

// isPublication recognizes what asynq publishes of its server.
func isPublication(key string) bool {
	return key == serversKey || key == handlersKey || strings.HasPrefix(key, serversKey+":{")
}

// pauses is what is known of tasks with a pause. It is safe for concurrent use.
type pauses struct {
	mu sync.Mutex
	// at is when Redis was asked, and none that no queue had such tasks then.
	at   time.Time
	none bool
	// idle reports that a consumer's wait for work asked; it does so again after wakePoll.
	idle bool
	// forgotten is when this consumer last put off a task, or found that there may be one.
	forgotten time.Time
}

// note records an answer to a question that was asked at a time.
func (p *pauses) note(at time.Time, none, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.After(p.forgotten) {
		p.at, p.none, p.idle = at, none, idle
	}
}

// forget records that there may be a task with a pause.
func (p *pauses) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.none, p.idle, p.forgotten = time.Time{}, false, false, time.Now()
}

// known returns what is known, and whether that is recent enough.
func (p *pauses) known(interval time.Duration) (none, recent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle {
		interval = wakePoll + wakeSlack
	}
	return p.none, time.Since(p.at) < interval
}

// nothingPaused reports whether no queue has tasks with a pause. It asks once for all scripts of one interval.
func (c *consumerClient) nothingPaused(ctx context.Context) bool {
	none, recent := c.pauses.known(c.forwardInterval / 2)
	if !recent {
		at := time.Now()
		n, err := c.Exists(ctx, c.pauseSets()...).Result()
		none = err == nil && n == 0
		c.pauses.note(at, none, false)
	}
	return none
}

func (c *consumerClient) pauseSets() []string {
	var sets []string
	for queue := range c.polled.Load().queues {
		sets = append(sets, key(queue, "scheduled"), key(queue, "retry"))
	}
	return sets
}

// nothingAtAll reports whether the queues are empty and have no tasks with a pause either.
func (c *consumerClient) nothingAtAll(ctx context.Context) bool {
	at, keys := time.Now(), c.pauseSets()
	for queue := range c.polled.Load().queues {
		keys = append(keys, key(queue, "pending"))
	}
	n, err := c.Exists(ctx, keys...).Result()
	if err != nil || n > 0 {
		c.pauses.forget() // there may be tasks with a pause
		return false
	}
	c.pauses.note(at, true, true)
	return true
}

// pausesTask recognizes asynq's script that puts off a task whose handling failed.
func pausesTask(keys []string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return strings.HasSuffix(key, ":retry") })
}

// ZAdd leaves out what asynq publishes.
func (c *consumerClient) ZAdd(ctx context.Context, key string, members ...redis.Z) *redis.IntCmd {
	if isPublication(key) {
		return redis.NewIntCmd(ctx)
	}
	return c.UniversalClient.ZAdd(ctx, key, members...)
}

// ZRem leaves out what asynq has not published.
func (c *consumerClient) ZRem(ctx context.Context, key string, members ...any) *redis.IntCmd {
	if isPublication(key) {
		return redis.NewIntCmd(ctx)
	}
	return c.UniversalClient.ZRem(ctx, key, members...)
}
