package queue

import (
	"cmp"
	"strings"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
)

// webhookWakeKey is the list of tokens that wakes the senders of webhooks; see wake.go.
const webhookWakeKey = "cellblock:wake:webhooks"

// Each environment has one queue of asynq: "default", and "env:NAME:default" for others than the default environment.
const (
	defaultQueue      = "default"
	environmentPrefix = "env:"
)

// queueOf returns the queue of a route.
func queueOf(route jobs.Route) string { return queueName(route.Environment, defaultQueue) }

// oldQueueOf returns the queue of a route in earlier versions, which had one for each priority.
func oldQueueOf(route jobs.Route) string {
	return queueName(route.Environment, string(cmp.Or(route.Priority, jobs.PriorityDefault)))
}

// oldQueues returns the queues that an environment had in such a version, besides the one of queueOf.
func oldQueues(environment string) []string {
	var names []string
	for _, priority := range []jobs.Priority{jobs.PriorityHigh, jobs.PriorityLow, jobs.PriorityBatch} {
		names = append(names, queueName(environment, string(priority)))
	}
	return names
}

func queueName(environment, priority string) string {
	if environment == "" || environment == jobs.DefaultEnvironment {
		return priority
	}
	return environmentPrefix + environment + ":" + priority
}

// tokensOf returns the list of tokens that wakes consumers of a queue.
func tokensOf(queue string) string {
	if queue == webhookQueue {
		return webhookWakeKey
	}
	environment := jobs.DefaultEnvironment
	if rest, found := strings.CutPrefix(queue, environmentPrefix); found {
		environment, _, _ = strings.Cut(rest, ":")
	}
	return flows.WakeList(environment)
}

// stopKey returns the list that ends one consumer's blocking pop.
func stopKey(tokens, consumer string) string { return "{" + tokens + "}:stop:" + consumer }

// key returns asynq's Redis key for a part of a queue, such as "pending".
func key(queue, what string) string { return "asynq:{" + queue + "}:" + what }
