package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// beginScript records the start of an attempt, unless the webhook is finished.
//
//	KEYS[1]  cellblock:{id}:job
//	returns  the URL and the new status; nil if there is no such job, or it has no webhook
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
	reply, err := beginScript.Run(ctx, s.of(id), []string{jobKey(id)}).StringSlice()
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
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  status
//	ARGV[2]  attempts
//	ARGV[3]  time of this attempt
//	ARGV[4]  microseconds until the next attempt, 0 for none
//	ARGV[5]  HTTP status of the response, 0 for none
//	ARGV[6]  error, "-" for none
//	ARGV[7]  minimum time in milliseconds for which the record is kept after the next attempt
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
	end
end
redis.call("HSET", KEYS[1], "webhook_state", table.concat({ARGV[1], ARGV[2], ARGV[3], next, ARGV[5], ARGV[6]}, " "))
return 1`)

// EndWebhook records the outcome of an attempt begun with BeginWebhook. pause is the time until the next attempt, if
// webhook.Status is WebhookPending.
func (s *Store) EndWebhook(ctx context.Context, id string, webhook jobs.Webhook, pause time.Duration) error {
	failure := webhook.Error
	if failure == "" {
		failure = "-"
	}
	if webhook.Status.Over() {
		pause = 0
	}
	recorded, err := endAttemptScript.Run(ctx, s.of(id), []string{jobKey(id)},
		string(webhook.Status), webhook.Attempts, webhook.LastAttemptAt.UnixMicro(), pause.Microseconds(),
		webhook.ResponseStatus, failure, webhookSpare.Milliseconds()).Bool()
	switch {
	case err != nil:
	case !recorded: // the process that recorded another outcome does the rest
	case webhook.Status.Over():
		err = s.of(id).ZRem(ctx, webhooksKey, id).Err()
	default:
		err = s.WatchWebhook(ctx, id, pause+webhookSlack)
	}
	if err != nil {
		return fmt.Errorf("end the attempt at the webhook of job %s: %w", id, err)
	}
	return nil
}
