package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// A job's webhook begins in three steps: the job's end is stored, its id is queued for delivery, and only then the job
// leaves the open jobs. If a process dies between two of them, the job is still open and the reaper repeats the rest.
//
// From then on webhooksKey contains the job until the webhook is delivered or has failed. Each attempt moves the time
// of the reaper's next check.

//
// All of this is for the senders and the reaper, and needs no caller: clients see a webhook in the record of its job.

// webhookSlack is how long the reaper waits after an overdue event of a webhook before it checks the webhook.
const webhookSlack = 3 * time.Second

// Webhooks is the queue for the webhooks of ended jobs.
type Webhooks interface {
	// EnqueueWebhook queues the delivery of a job's webhook. It may be called twice for the same job.
	EnqueueWebhook(ctx context.Context, id string) error
}

// WithWebhooks returns a copy of the store that uses a queue for webhooks. Without one, jobs with a webhook stay
// open after their end until the reaper of a store with a queue finds them.
func (s *Store) WithWebhooks(queue Webhooks) *Store {
	with := *s
	with.webhooks = queue
	return &with
}

func (s *Store) queueWebhook(ctx context.Context, id string) error {
	if s.webhooks == nil {
		return errors.New("there is no queue for its webhook")
	}
	if err := s.WatchWebhook(ctx, id, webhookSlack); err != nil {
		return err
	}
	return s.webhooks.EnqueueWebhook(ctx, id)
}

// watchScript schedules the reaper's check of a webhook, never earlier than it was already scheduled.
//
//	KEYS[1]  cellblock:{index}:webhooks
//	ARGV[1]  id
//	ARGV[2]  microseconds from now
//	returns  1 if it was not scheduled before, else 0
var watchScript = redis.NewScript(`
local time = redis.call("TIME")
return redis.call("ZADD", KEYS[1], "GT", string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[2]), ARGV[1])`)

// WatchWebhook makes the reaper check a job's webhook after the given time, or at the time already scheduled,
// whichever is later.
func (s *Store) WatchWebhook(ctx context.Context, id string, after time.Duration) error {
	if err := watchScript.Run(ctx, s.of(id), []string{webhooksKey}, id, after.Microseconds()).Err(); err != nil {
		return fmt.Errorf("watch the webhook of job %s: %w", id, err)
	}
	return nil
}

// DueWebhooks returns at most n jobs whose webhook is unfinished and whose check is due. It removes finished
// webhooks from the index.
func (s *Store) DueWebhooks(ctx context.Context, n int) ([]string, error) {
	ids, err := dueScript.Run(ctx, s.only(), []string{webhooksKey}, n).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the webhooks: %w", err)
	}
	ids = ids[1:]
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.only().Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = readWebhook(ctx, pipeline, id)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d webhooks: %w", len(ids), err)
	}
	var due []string
	var over []any
	for i, id := range ids {
		webhook := webhookOf(replies[i].Val())
		if webhook == nil || webhook.Status.Over() {
			over = append(over, id)
		} else {
			due = append(due, id)
		}
	}
	if len(over) > 0 {
		if err := s.only().ZRem(ctx, webhooksKey, over...).Err(); err != nil {
			return nil, fmt.Errorf("forget %d webhooks: %w", len(over), err)
		}
	}
	return due, nil
}

// readWebhook reads the fields of a job's webhook, for webhookOf.
func readWebhook(ctx context.Context, client redis.Cmdable, id string) *redis.SliceCmd {
	return client.HMGet(ctx, jobKey(id), "webhook", "webhook_state", "trace")
}

// webhookOf decodes the webhook of an ended job; it is nil if the job has none.
func webhookOf(values []any) *jobs.Webhook {
	url, _ := values[0].(string)
	state, _ := values[1].(string)
	webhook := decodeWebhook(url, state, jobs.StateSucceeded)
	if trace, ok := values[2].(string); ok && webhook != nil {
		webhook.Trace = decodeTrace(trace)
	}
	return webhook
}

// PeekWebhook returns the status of an ended job's webhook, and the job's trace, without the rest of the record. It
// returns a *jobs.Error with CodeNotFound if there is no such job or it has no webhook.
func (s *Store) PeekWebhook(ctx context.Context, id string) (jobs.Webhook, error) {
	values, err := readWebhook(ctx, s.of(id), id).Result()
	if err != nil {
		return jobs.Webhook{}, fmt.Errorf("read the webhook of job %s: %w", id, err)
	}
	webhook := webhookOf(values)
	if webhook == nil {
		return jobs.Webhook{}, fmt.Errorf("read the webhook of job %s: %w", id, jobs.NotFound("job"))
	}
	return *webhook, nil
}

// webhookState matches the status of a webhook, stored as one field: status, attempts, times of the last and of the
// next attempt (microseconds since 1970, 0 for none), HTTP status of the response (0 for none), and the error ("-" for
// none).
var webhookState = regexp.MustCompile(`^([a-z]+) (\d+) (\d+) (\d+) (\d+) (\S+)$`)

// decodeWebhook returns nil for a job without a webhook.
func decodeWebhook(url, state string, of jobs.State) *jobs.Webhook {
	if url == "" {
		return nil
	}
	webhook := &jobs.Webhook{URL: url, Status: jobs.WebhookWaiting}
	if of.Ended() {
		webhook.Status = jobs.WebhookPending
	}
	parts := webhookState.FindStringSubmatch(state)
	if parts == nil {
		return webhook
	}
	webhook.Status = jobs.WebhookStatus(parts[1])
	webhook.Attempts, _ = strconv.Atoi(parts[2])
	webhook.LastAttemptAt, webhook.NextAttemptAt = timeOrNone(parts[3]), timeOrNone(parts[4])
	webhook.ResponseStatus, _ = strconv.Atoi(parts[5])
	if parts[6] != "-" {
		webhook.Error = parts[6]
	}
	return webhook
}

func timeOrNone(us string) time.Time {
	if us == "0" {
		return time.Time{}
	}
	return parseTime(us)
}

// OpenWebhooks counts the webhooks that are not over.
func (s *Store) OpenWebhooks(ctx context.Context) (int, error) {
	sum := 0
	for _, part := range s.parts.All() {
		n, err := part.ZCard(ctx, webhooksKey).Result()
		if err != nil {
			return 0, fmt.Errorf("count the webhooks: %w", err)
		}
		sum += int(n)
	}
	return sum, nil
}
