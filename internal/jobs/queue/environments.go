package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// The queues of environments.
//
// An environment besides the default has queues and lists of tokens of its own, named env:NAME:PRIORITY, so that a job
// waits only for workers that have its environment. asynq's queues are fixed when a server starts, and a worker's
// environments are not. So asynq knows the queues of the default only, and the consumer's client adds the others to
// what asynq asks of these: to the poll, to the forwarding of tasks whose pause is over, and to the search for expired
// leases. All else of a task asynq does in the queue that the task itself names.

const environmentPrefix = "env:"

// splitQueue returns the environment ("" for the default) and the priority of a queue's name.
func splitQueue(queue string) (environment, priority string) {
	rest, found := strings.CutPrefix(queue, environmentPrefix)
	if !found {
		return "", queue
	}
	environment, priority, _ = strings.Cut(rest, ":")
	return environment, priority
}

// isBatch reports whether a queue has jobs of batches.
func isBatch(queue string) bool {
	_, priority := splitQueue(queue)
	return priority == batchQueue
}

// withEnvironments returns the weights of queues and of the same ones of environments.
func withEnvironments(base map[string]int, environments []string) map[string]int {
	all := maps.Clone(base)
	for _, environment := range environments {
		for queue, weight := range base {
			all[queueOf(jobs.Route{Priority: jobs.Priority(queue), Environment: environment})] = weight
		}
	}
	return all
}

// polled is what a consumer takes from. It is immutable.
type polled struct {
	// queues are the weights of all queues, and added the queues of which asynq does not know, sorted.
	queues map[string]int
	added  []string
	// tokens are the lists that wake the consumer, and batchTokens those for jobs of batches.
	tokens, batchTokens []string
}

func newPolled(lane lane, environments []string) *polled {
	p := &polled{queues: withEnvironments(lane.queues, environments)}
	for queue := range p.queues {
		list := wakeList(queue)
		switch {
		case isBatch(queue):
			p.batchTokens = append(p.batchTokens, list)
		case !slices.Contains(p.tokens, list):
			p.tokens = append(p.tokens, list)
		}
		if _, known := lane.queues[queue]; !known {
			p.added = append(p.added, queue)
		}
	}
	slices.Sort(p.added)
	slices.Sort(p.tokens)
	slices.Sort(p.batchTokens)
	return p
}

// SetEnvironments sets which environments' jobs the consumer takes, besides those of the default. It may be called at
// any time; jobs that were taken before stay with their handlers.
func (c *Consumer) SetEnvironments(names []string) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == jobs.DefaultEnvironment })
	before := c.client.polled.Swap(newPolled(c.lane, names))
	c.client.pauses.forget()
	now := c.client.polled.Load()
	if slices.Equal(before.added, now.added) {
		return
	}
	// The wait for work is for the lists of before, and may have ended with a token of one that is gone.
	c.signal("looking into the queues of other environments", func(ctx context.Context) error {
		var errs []error
		for _, list := range slices.Concat(before.tokens, before.batchTokens) {
			if !slices.Contains(now.tokens, list) && !slices.Contains(now.batchTokens, list) {
				errs = append(errs, wake(ctx, c.client.UniversalClient, list, 1))
			}
		}
		return errors.Join(append(errs, c.client.release(ctx))...)
	})
}

// addsOthers reports whether asynq's script for one of its queues is also to run for those that it does not know. It is
// one queue of all, so that they get each script once.
func addsOthers(queue string) bool { return queue == string(jobs.PriorityDefault) }

// forwardOthers runs asynq's script that forwards tasks, which has just run for one of its queues, for those of
// environments.
func (c *consumerClient) forwardOthers(ctx context.Context, sha string, keys []string, args []any) {
	asked := queueOfKey(keys[0])
	if !addsOthers(asked) || len(args) != 4 { //nolint:mnd // as asynq v0.26 has it: time, prefix, time, prefix
		return
	}
	for _, queue := range c.polled.Load().added {
		others := []string{key(queue, partOfKey(keys[0])), key(queue, partOfKey(keys[1]))}
		reply := c.UniversalClient.EvalSha(ctx, sha, others, args[0], key(queue, "t:"), args[2], key(queue, "g:"))
		c.noteMoves(others, reply) // if it failed, the next interval does it
	}
}

// isLeaseCheck recognizes asynq's script that lists the tasks of a queue whose lease has expired.
func isLeaseCheck(keys []string) bool { return len(keys) == 1 && strings.HasSuffix(keys[0], ":lease") }

// checkLeases adds the tasks of environments' queues whose lease has expired to those that asynq's script found.
func (c *consumerClient) checkLeases(ctx context.Context, sha string, keys []string, args []any, reply *redis.Cmd) {
	found, err := reply.Slice()
	if err != nil || !addsOthers(queueOfKey(keys[0])) || len(args) != 2 { //nolint:mnd // as asynq v0.26 has it
		return
	}
	for _, queue := range c.polled.Load().added {
		keys := []string{key(queue, "lease")}
		more, err := c.UniversalClient.EvalSha(ctx, sha, keys, args[0], key(queue, "t:")).Slice()
		if err == nil { // else the next check finds them
			found = append(found, more...)
		}
	}
	reply.SetVal(found)
}
