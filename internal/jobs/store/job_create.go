package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/redisconn"
)

// firstCheck is the time from a job's acceptance to the reaper's first check of it. For a job with large inputs the
// time to transfer them is added.
const firstCheck = time.Second

// createScript creates a queued job unless it exists.
//
//	KEYS[1]   cellblock:{id}:job
//	KEYS[2]   cellblock:{id}:inputs
//	ARGV[1]   script
//	ARGV[2]   async, 1 or 0
//	ARGV[3]   request id
//	ARGV[4]   reply channel
//	ARGV[5]   priority
//	ARGV[6]   start deadline in microseconds from now, 0 for none
//	ARGV[7]   key of the idempotency record, "" for none
//	ARGV[8]   inputs, "" for none
//	ARGV[9]   batch item, "" for none
//	ARGV[10]  webhook URL, "" for none
//	ARGV[11]  limits, "" for none
//	ARGV[12]  TTL after the end, in milliseconds
//	returns   1 if the job was created, 0 if it exists
var createScript = redis.NewScript(`
if redis.call("EXISTS", KEYS[1]) == 1 then
	return 0
end
local time = redis.call("TIME")
redis.call("HSET", KEYS[1],
	"state", "queued",
	"script", ARGV[1],
	"async", ARGV[2],
	"request_id", ARGV[3],
	"reply_to", ARGV[4],
	"priority", ARGV[5],
	"idempotency", ARGV[7],
	"created_at", string.format("%.0f", time[1] * 1000000 + time[2]))
if ARGV[6] ~= "0" then
	redis.call("HSET", KEYS[1], "start_by", string.format("%.0f", time[1] * 1000000 + time[2] + ARGV[6]))
end
if ARGV[9] ~= "" then
	redis.call("HSET", KEYS[1], "batch", ARGV[9])
end
if ARGV[8] ~= "" then
	redis.call("SET", KEYS[2], ARGV[8])
	redis.call("HSET", KEYS[1], "inputs", "1")
end
if ARGV[11] ~= "" then
	redis.call("HSET", KEYS[1], "limits", ARGV[11])
end
redis.call("HSET", KEYS[1], "ttl", ARGV[12])
if ARGV[10] ~= "" then
	redis.call("HSET", KEYS[1], "webhook", ARGV[10])
end
return 1`)

// Create stores a job as queued, regardless of the number of open jobs.
func (s *Store) Create(ctx context.Context, job jobs.Job) error {
	_, err := s.Accept(ctx, job, 0)
	return err
}

// Accept stores a job as queued, unless limit jobs or more are open (0: no limit), and reports whether it is new. It
// returns a *jobs.Error with CodeQueueFull at the limit.
//
// The index is written first: it may contain jobs that do not exist, which the reaper removes, but never lacks one
// that does.
func (s *Store) Accept(ctx context.Context, job jobs.Job, limit int) (bool, error) {
	size := job.Inputs.Size()
	client, err := s.clientFor(ctx, createScript, size)
	if err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	if err := s.admit(ctx, job.ID, limit, firstCheck+redisconn.TransferTime(size)); err != nil {
		return false, fmt.Errorf("admit job %s: %w", job.ID, err)
	}
	async := 0
	if job.Async {
		async = 1
	}
	if job.Priority == "" {
		job.Priority = jobs.PriorityDefault
	}
	inputs, err := encodeInputs(job.Inputs)
	limits, limitsErr := encodeLimits(job.Limits, job.LimitsOpen)
	if err = errors.Join(err, limitsErr); err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	created, err := createScript.Run(ctx, client, []string{jobKey(job.ID), inputsKey(job.ID)},
		job.Script, async, job.RequestID, job.ReplyTo, string(job.Priority), job.StartWithin.Microseconds(),
		job.IdempotencyKey, inputs, encodeItem(job.BatchItem), job.WebhookURL, limits, s.TTL(job).Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	return created, nil
}

// clientFor returns the client on which to run a script with size bytes of arguments. If these are large, it first
// loads the script, since Redis would answer NOSCRIPT to one that it has not cached, and the arguments would be sent
// twice.
func (s *Store) clientFor(ctx context.Context, script *redis.Script, size int) (redis.UniversalClient, error) {
	if size < LargeRecord {
		return s.client, nil
	}
	return redisconn.ForBytes(s.client, size), script.Load(ctx, s.client).Err()
}

// TTL returns how long a job's record is kept after its end. With a webhook it is kept until that can be delivered.
func (s *Store) TTL(job jobs.Job) time.Duration {
	switch {
	case job.TTL > 0:
		return job.TTL
	case job.Async:
		return s.settings.ResultTTL
	case job.WebhookURL != "":
		return max(s.settings.ResultTTL, s.settings.SyncResultTTL)
	default:
		return s.settings.SyncResultTTL
	}
}
