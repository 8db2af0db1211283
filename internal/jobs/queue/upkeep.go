package queue

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/flows"
)

// What asynq's server does besides handling tasks, from each worker and mostly for nothing: it would be most of what a
// large fleet asks of Redis.
//
//   - It forwards tasks whose pause is over, by two scripts for each queue. One command finds out whether any queue has
//     such tasks at all; that of an idle worker's wait, if it is recent enough. The same command finds out whether a
//     queue is paused, or of an earlier version and not empty: polls look only then.
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

// upkeep is what is known of what is rarely there: tasks with a pause, paused queues, and tasks in queues of earlier
// versions. It is safe for concurrent use.
type upkeep struct {
	mu sync.Mutex
	// at is when Redis was asked, and none that there was nothing of it then.
	at   time.Time
	none bool
	// idle reports that a consumer's wait for work asked; it does so again after wakePoll.
	idle bool
	// forgotten is when this consumer last put off a task, or found that there may be something.
	forgotten time.Time
}

// note records an answer to a question that was asked at a time.
func (p *upkeep) note(at time.Time, none, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.After(p.forgotten) {
		p.at, p.none, p.idle = at, none, idle
	}
}

// forget records that there may be something.
func (p *upkeep) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.none, p.idle, p.forgotten = time.Time{}, false, false, time.Now()
}

// known returns what is known, and whether that is recent enough.
func (p *upkeep) known(interval time.Duration) (none, recent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle {
		interval = wakePoll + wakeSlack
	}
	return p.none, time.Since(p.at) < interval
}

// isQuiet reports whether there was nothing when Redis was last asked.
func (p *upkeep) isQuiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.none
}

// nothingRare reports whether there is nothing. It asks once for all scripts of one interval.
func (c *consumerClient) nothingRare(ctx context.Context) bool {
	none, recent := c.upkeep.known(c.forwardInterval / 2)
	if !recent {
		at := time.Now()
		n, err := c.Exists(ctx, c.polled.Load().rareKeys()...).Result()
		none = err == nil && n == 0
		c.upkeep.note(at, none, false)
	}
	return none
}

// rareKeys are the keys that exist while there is something.
func (p *polled) rareKeys() []string {
	var keys []string
	for _, source := range p.all() {
		keys = append(keys, key(source.queue, "scheduled"), key(source.queue, "retry"), key(source.queue, "paused"))
	}
	for _, source := range p.old {
		keys = append(keys, key(source.queue, "pending"))
	}
	return keys
}

// nothingAtAll reports whether there is nothing to take either.
func (c *consumerClient) nothingAtAll(ctx context.Context) bool {
	from := c.polled.Load()
	at, keys := time.Now(), from.rareKeys()
	for _, source := range from.sources {
		keys = append(keys, key(source.queue, "pending"))
		if source.environment != "" {
			keys = append(keys, flows.TenantsKey(source.environment))
		}
	}
	n, err := c.Exists(ctx, keys...).Result()
	if err != nil || n > 0 {
		c.upkeep.forget()
		return false
	}
	c.upkeep.note(at, true, true)
	return true
}

// forward forwards the tasks whose pause is over, of all queues. part is retry or scheduled, now asynq's time.
func (c *consumerClient) forward(ctx context.Context, part string, now any) *redis.Cmd {
	reply, sum := redis.NewCmd(ctx), 0
	if !c.nothingRare(ctx) {
		for _, source := range c.polled.Load().all() {
			keys := []string{key(source.queue, part), key(source.queue, "pending"), tokensOf(source.queue)}
			n, err := c.scripts.forward.Run(ctx, c.UniversalClient, keys, now, key(source.queue, "t:"),
				source.environment).Int()
			if err != nil {
				reply.SetErr(err) // the next interval does it
				return reply
			}
			sum += n
		}
	}
	reply.SetVal(int64(sum))
	return reply
}

// notePause notes that a script of asynq's has put off a task.
func (c *consumerClient) notePause(keys []string) {
	if pausesTask(keys) {
		c.upkeep.forget()
	}
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
