package queue

// The keys of Redis besides asynq's own. Each list holds wake-up tokens; see
// wake.go.
const (
	// wakeKey is the list of tokens that wakes workers.
	wakeKey = "cellblock:wake"
	// batchWakeKey is the list for jobs of batches.
	batchWakeKey = "{" + wakeKey + "}:" + batchQueue
	// webhookWakeKey is the list that wakes the senders of webhooks.
	webhookWakeKey = "cellblock:wake:webhooks"
)

// wakeList returns the list of tokens for a queue. Each environment besides the default has lists of its own, so that
// a job wakes a worker that can run it: {cellblock:wake}:env:NAME, and with :batch after it.
func wakeList(queue string) string {
	environment, priority := splitQueue(queue)
	switch {
	case queue == webhookQueue:
		return webhookWakeKey
	case environment == "" && priority == batchQueue:
		return batchWakeKey
	case environment == "":
		return wakeKey
	case priority == batchQueue:
		return "{" + wakeKey + "}:" + environmentPrefix + environment + ":" + batchQueue
	default:
		return "{" + wakeKey + "}:" + environmentPrefix + environment
	}
}

// stopKey returns the list that ends one consumer's blocking pop.
func stopKey(tokens, consumer string) string { return "{" + tokens + "}:stop:" + consumer }

// key returns asynq's Redis key for a part of a queue, such as "pending".
func key(queue, what string) string { return "asynq:{" + queue + "}:" + what }
