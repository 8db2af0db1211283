package queue

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
)

// The queues of environments.
//
// An environment besides the default has a queue, flows and lists of tokens of its own, so that a job waits only for
// workers that have its environment. asynq's queues are fixed when a server starts, and a worker's environments are
// not. So asynq knows the queue of the default only, and the consumer's client adds the others to what asynq asks of
// that: to the poll, to the forwarding of tasks whose pause is over, and to the search for expired leases. All else of
// a task asynq does in the queue that the task itself names. The queues of earlier versions are added in the same way.

// source is a queue of asynq from which a consumer takes.
type source struct {
	queue string
	// environment is that of the flows that belong to the queue; "" for none.
	environment string
}

// polled is what a consumer takes from. It is immutable.
type polled struct {
	// sources are the queues, and old those of earlier versions.
	sources, old []source
	// tokens are the lists that wake the consumer, and spills those for jobs behind which others wait, in the same
	// order; webhooks have none.
	tokens, spills []string
}

func newPolled(lane lane, environments []string) *polled {
	if !lane.hasFlows {
		return &polled{sources: []source{{queue: lane.queue}}, tokens: []string{tokensOf(lane.queue)}}
	}
	p := &polled{}
	for _, environment := range append([]string{jobs.DefaultEnvironment}, environments...) {
		p.sources = append(p.sources, source{queueName(environment, defaultQueue), environment})
		p.tokens = append(p.tokens, flows.WakeList(environment))
		p.spills = append(p.spills, flows.SpillList(environment))
		for _, queue := range oldQueues(environment) {
			p.old = append(p.old, source{queue: queue})
		}
	}
	return p
}

// all returns all queues.
func (p *polled) all() []source { return slices.Concat(p.sources, p.old) }

// lists returns all lists of tokens.
func (p *polled) lists() []string { return slices.Concat(p.tokens, p.spills) }

// spillOf returns the list of spilled tokens that belongs to a list of tokens of either kind; "" for none.
func (p *polled) spillOf(list string) string {
	if i := slices.Index(p.tokens, list); i >= 0 && i < len(p.spills) {
		return p.spills[i]
	}
	if slices.Contains(p.spills, list) {
		return list
	}
	return ""
}

// otherEnvironments returns the names besides the default's, sorted and each once.
func otherEnvironments(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == "" || name == jobs.DefaultEnvironment
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// SetEnvironments sets which environments' jobs the consumer takes, besides those of the default. It may be called at
// any time; jobs that were taken before stay with their handlers.
func (c *Consumer) SetEnvironments(names []string) {
	now := newPolled(c.lane, otherEnvironments(names))
	before := c.client.polled.Swap(now)
	c.client.upkeep.forget()
	if slices.Equal(before.tokens, now.tokens) {
		return
	}
	// The wait for work is for the lists of before, and may have ended with a token of one that is gone.
	c.signal("looking into the queues of other environments", func(ctx context.Context) error {
		var errs []error
		for _, list := range before.lists() {
			if !slices.Contains(now.lists(), list) {
				errs = append(errs, wake(ctx, c.client.UniversalClient, list, 1))
			}
		}
		return errors.Join(append(errs, c.client.release(ctx))...)
	})
}

// isLeaseCheck recognizes asynq's script that lists the tasks of a queue whose lease has expired.
func isLeaseCheck(keys []string) bool { return len(keys) == 1 && strings.HasSuffix(keys[0], ":lease") }

// checkLeases adds the tasks of the other queues whose lease has expired to those that asynq's script found.
func (c *consumerClient) checkLeases(ctx context.Context, sha string, keys []string, args []any, reply *redis.Cmd) {
	found, err := reply.Slice()
	if err != nil || len(args) != 2 { //nolint:mnd // as asynq v0.26 has it
		return
	}
	for _, source := range c.polled.Load().all() {
		others := []string{key(source.queue, "lease")}
		if others[0] == keys[0] {
			continue
		}
		more, err := c.UniversalClient.EvalSha(ctx, sha, others, args[0], key(source.queue, "t:")).Slice()
		if err == nil { // else the next check finds them
			found = append(found, more...)
		}
	}
	reply.SetVal(found)
}
