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

// A job's webhook begins in three steps: the job's end is stored, its id is queued for delivery, and only then the
// job leaves the open jobs. If a process dies between two of them, the job is still open and the reaper finishes the
// rest.
//
// From then on webhooksKey contains it until it has been delivered or has failed: a sorted set in the slot of the
// index, scored by the time at which the reaper checks whether the webhook is still being worked on. Each attempt
// moves that time.
const webhooksKey = "cellblock:{index}:webhooks"

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
//	KEYS[1]  webhooks
//	ARGV     id, microseconds from now
var watchScript = redis.NewScript(`
local time = redis.call("TIME")
return redis.call("ZADD", KEYS[1], "GT", string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[2]), ARGV[1])`)

// WatchWebhook makes the reaper check a job's webhook after the given time, or at the time already scheduled,
// whichever is later.
func (s *Store) WatchWebhook(ctx context.Context, id string, after time.Duration) error {
	if err := watchScript.Run(ctx, s.client, []string{webhooksKey}, id, after.Microseconds()).Err(); err != nil {
		return fmt.Errorf("watch the webhook of job %s: %w", id, err)
	}
	return nil
}

// DueWebhooks returns at most n jobs whose webhook is unfinished and whose check is due. It removes finished
// webhooks from the index.
func (s *Store) DueWebhooks(ctx context.Context, n int) ([]string, error) {
	ids, err := dueScript.Run(ctx, s.client, []string{webhooksKey}, n).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the webhooks: %w", err)
	}
	ids = ids[1:]
	if len(ids) == 0 {
		return nil, nil
	}
	pipeline := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipeline.HMGet(ctx, jobKey(id), "webhook", "webhook_state")
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d webhooks: %w", len(ids), err)
	}
	var due []string
	var over []any
	for i, id := range ids {
		url, _ := replies[i].Val()[0].(string)
		state, _ := replies[i].Val()[1].(string)
		webhook := decodeWebhook(url, state, jobs.StateSucceeded)
		if webhook == nil || webhook.Status.Over() {
			over = append(over, id)
		} else {
			due = append(due, id)
		}
	}
	if len(over) > 0 {
		if err := s.client.ZRem(ctx, webhooksKey, over...).Err(); err != nil {
			return nil, fmt.Errorf("forget %d webhooks: %w", len(over), err)
		}
	}
	return due, nil
}

// PeekWebhook returns the status of an ended job's webhook without the rest of the record. It returns a *jobs.Error
// with CodeNotFound if there is no such job or it has no webhook.
func (s *Store) PeekWebhook(ctx context.Context, id string) (jobs.Webhook, error) {
	values, err := s.client.HMGet(ctx, jobKey(id), "webhook", "webhook_state").Result()
	if err != nil {
		return jobs.Webhook{}, fmt.Errorf("read the webhook of job %s: %w", id, err)
	}
	url, _ := values[0].(string)
	state, _ := values[1].(string)
	webhook := decodeWebhook(url, state, jobs.StateSucceeded)
	if webhook == nil {
		return jobs.Webhook{}, fmt.Errorf("read the webhook of job %s: %w", id, jobs.NotFound("job"))
	}
	return *webhook, nil
}

// webhookState matches the status of a webhook, stored as one field: status, attempts, times of the last and of the
// next attempt (microseconds since 1970, 0 for none), HTTP status of the response (0 for none), and the error ("-" for
// none).
var webhookState = regexp.MustCompile(`^([a-z]+) (\d+) (\d+) (\d+) (\d+) (\S+)$`)

// beginScript records the start of an attempt, unless the webhook is finished.
//
//	KEYS[1]  the job's hash
//	returns  the URL and the new status; nil if there is no such job, or it has
//	         no webhook
var beginScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "webhook", "webhook_state")
if not job[1] then
	return nil
end
local status, attempts = string.match(job[2] or "", "^(%a+) (%d+)")
if status == "delivered" or status == "failed" then
	return {job[1], job[2]}
end
local time = redis.call("TIME")
local state = string.format("pending %d %.0f 0 0 -", (attempts or 0) + 1, time[1] * 1000000 + time[2])
redis.call("HSET", KEYS[1], "webhook_state", state)
return {job[1], state}`)

// BeginWebhook records the start of an attempt, which may take the time within, and returns the new status. The
// status of a finished webhook is returned unchanged. It returns a *jobs.Error with CodeNotFound if there is no such
// job or webhook.
func (s *Store) BeginWebhook(ctx context.Context, id string, within time.Duration) (jobs.Webhook, error) {
	// First, so that the reaper checks it if this process dies right after.
	if err := s.WatchWebhook(ctx, id, within+webhookSlack); err != nil {
		return jobs.Webhook{}, err
	}
	reply, err := beginScript.Run(ctx, s.client, []string{jobKey(id)}).StringSlice()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("job")
	}
	if err != nil {
		return jobs.Webhook{}, fmt.Errorf("begin the webhook of job %s: %w", id, err)
	}
	return *decodeWebhook(reply[0], reply[1], jobs.StateSucceeded), nil
}

// webhookSpare is the minimum time for which a webhook's record is kept after its next attempt. It covers another
// attempt's timeout, or a sender that dies.
const webhookSpare = 2 * time.Minute

// endAttemptScript records the outcome of an attempt. It changes neither a finished webhook nor the state of a later
// attempt, except that a late report of a successful delivery always counts. The record is kept until the next
// attempt, which a receiver may have postponed beyond the record's TTL.
//
//	KEYS[1]  the job's hash
//	ARGV     status, attempts, time of this attempt, microseconds until the next
//	         one (0 for none), HTTP status of the response, error, minimum time in
//	         milliseconds for which the record is kept after the next attempt
//	returns  1 if it was recorded, else 0
var endAttemptScript = redis.NewScript(`
local job = redis.call("HMGET", KEYS[1], "webhook", "webhook_state")
local status, attempts = string.match(job[2] or "", "^(%a+) (%d+)")
if not job[1] or status == "delivered" then
	return 0
end
if ARGV[1] ~= "delivered" and (status == "failed" or tonumber(attempts or 0) > tonumber(ARGV[2])) then
	return 0
end
local next = "0"
if ARGV[4] ~= "0" then
	local time = redis.call("TIME")
	next = string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[4])
	local left, need = redis.call("PTTL", KEYS[1]), math.ceil(ARGV[4] / 1000) + ARGV[7]
	if left >= 0 and left < need then
		redis.call("PEXPIRE", KEYS[1], string.format("%.0f", need))
	end -- of too little left
end
redis.call("HSET", KEYS[1], "webhook_state", table.concat({ARGV[1], ARGV[2], ARGV[3], next, ARGV[5], ARGV[6]}, " "))
return 1`)

// EndWebhook records the outcome of an attempt begun with BeginWebhook. pause is the time until the next attempt, if
// webhook.Status is WebhookPending.
func (s *Store) EndWebhook(ctx context.Context, id string, webhook jobs.Webhook, pause time.Duration) error {
	wrong := webhook.Error
	if wrong == "" {
		wrong = "-"
	}
	if webhook.Status.Over() {
		pause = 0
	}
	noted, err := endAttemptScript.Run(ctx, s.client, []string{jobKey(id)}, string(webhook.Status), webhook.Attempts,
		webhook.LastAttemptAt.UnixMicro(), pause.Microseconds(), webhook.ResponseStatus, wrong, webhookSpare.Milliseconds()).Bool()
	switch {
	case err != nil:
	case !noted: // the process that recorded another outcome does the rest
	case webhook.Status.Over():
		err = s.client.ZRem(ctx, webhooksKey, id).Err()
	default:
		err = s.WatchWebhook(ctx, id, pause+webhookSlack)
	}
	if err != nil {
		return fmt.Errorf("end the attempt at the webhook of job %s: %w", id, err)
	}
	return nil
}

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
