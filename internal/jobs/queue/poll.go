package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// How a consumer looks for a task.
//
// asynq knows one queue, the default environment's. What it asks of that is answered by one script that looks into all
// that the consumer takes from: a task names its queue, so it does not matter which question it answers.

// looksAtOnce bounds the tenants and flows that one script looks at, so that other clients of Redis need not wait long.
// The consumer goes on with another script.
const looksAtOnce = 200

// poll answers asynq's question for a task. args are those of asynq's script. Only asynq's fetching goroutine calls it.
func (c *consumerClient) poll(ctx context.Context, args []any) *redis.Cmd {
	reply := redis.NewCmd(ctx)
	if !c.hasTurn(ctx) {
		reply.SetErr(redis.Nil)
		return reply
	}
	excluded := c.slots.excluded()
	found, err := c.look(ctx, args[0], excluded)
	c.endTurn(found.id)
	switch {
	case redis.HasErrorPrefix(err, "OOM") && c.nothingAtAll(ctx):
		// Out of memory, Redis refuses to move a task even out of an empty list.
		reply.SetErr(redis.Nil)
		c.awaitToken(false)
	case err != nil:
		reply.SetErr(err)
		c.pause()
	case found.task != nil:
		c.slots.take(found.id, found.tenant, found.batch)
		if found.reply != nil {
			c.replies.keep(found.id, found.reply)
		}
		reply.SetVal(found.task)
	default:
		reply.SetErr(redis.Nil)
		if !found.isDamaged && !c.slots.leave(excluded, found.left) {
			c.awaitToken(found.left)
		}
	}
	return reply
}

// found is what a poll found.
type found struct {
	// task is the encoded task; nil if there was none.
	task any
	// isDamaged reports that there was a task without a record, and that there may be others.
	isDamaged bool
	id        string
	tenant    jobs.Tenant
	batch     bool
	// reply is what the step returned.
	reply []any
	// left reports that jobs were passed over.
	left bool
}

// look looks for a task. leaseExpiry is asynq's.
func (c *consumerClient) look(ctx context.Context, leaseExpiry any, excluded exclusion) (found, error) {
	from, woken := c.polled.Load(), c.woken
	c.woken = ""
	sources := shuffled(from.sources)
	isCareful := !c.upkeep.isQuiet()
	if isCareful {
		sources = shuffled(from.all())
	}
	f, err := c.lookInto(ctx, leaseExpiry, excluded, sources, isCareful, from.spillOf(woken))
	if woken != "" && f.left {
		c.spilledAt = time.Now() // by this poll, for others
	}
	// The token may be that of a task that an API of an earlier version has enqueued.
	if err == nil && woken != "" && f.task == nil && !isCareful && c.hasOldTasks(ctx, from) {
		c.upkeep.forget()
		return c.lookInto(ctx, leaseExpiry, excluded, shuffled(from.old), true, from.spillOf(woken))
	}
	return f, err
}

// lookInto looks into queues and their flows, in order. spill is where a token is pushed for jobs that are passed over;
// "" for nowhere.
func (c *consumerClient) lookInto(
	ctx context.Context, leaseExpiry any, excluded exclusion, sources []source, careful bool, spill string,
) (found, error) {
	offset, left := int64(0), false
	for {
		args := []any{leaseExpiry, careful, excluded.batches, offset, looksAtOnce, spill, left, len(excluded.tenants)}
		for _, tenant := range excluded.tenants {
			args = append(args, tenant)
		}
		args = append(args, 2*len(sources)) //nolint:mnd // name and environment
		for _, source := range sources {
			args = append(args, source.queue, source.environment)
		}
		keys := []string{key(sources[0].queue, "pending")}
		reply, err := c.scripts.poll.Run(ctx, c.UniversalClient, keys, append(args, c.step.Args...)...).Slice()
		if errors.Is(err, redis.Nil) {
			return found{}, nil
		}
		if err != nil {
			return found{}, err
		}
		switch at, _ := reply[0].(int64); at {
		case pollLeft:
			return found{left: true}, nil
		case pollMore:
			index, _ := reply[1].(int64)
			offset, _ = reply[2].(int64)
			passed, _ := reply[3].(int64)
			sources, left = sources[index:], passed == 1
		default:
			return decodeFound(reply), nil
		}
	}
}

// decodeFound decodes pollScript's reply with a task.
func decodeFound(reply []any) found {
	f := found{task: reply[1], isDamaged: reply[1] == nil}
	if f.isDamaged {
		return f
	}
	f.id, _ = reply[2].(string)
	tenant, _ := reply[3].(string)
	f.tenant = jobs.Tenant(tenant)
	batch, _ := reply[4].(int64)
	f.batch = batch == 1
	if len(reply) > 5 { //nolint:mnd // as pollScript returns it
		f.reply, _ = reply[5].([]any)
	}
	return f
}

// hasOldTasks reports whether tasks wait in queues of an earlier version.
func (c *consumerClient) hasOldTasks(ctx context.Context, from *polled) bool {
	if len(from.old) == 0 {
		return false
	}
	var keys []string
	for _, source := range from.old {
		keys = append(keys, key(source.queue, "pending"))
	}
	n, err := c.Exists(ctx, keys...).Result()
	return err == nil && n > 0
}

// shuffled returns sources in an order drawn anew: none comes before another for long.
func shuffled(sources []source) []source {
	order := make([]source, len(sources))
	for i, j := range rand.Perm(len(sources)) { //nolint:gosec // fairness, no secret
		order[i] = sources[j]
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
