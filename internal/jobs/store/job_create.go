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

// acceptScript creates a queued job unless it exists, or as many jobs are open as may be, and then takes a Step.
//
//	KEYS[1]   cellblock:{id}:job
//	KEYS[2]   cellblock:{id}:inputs
//	KEYS[3]   cellblock:{index}:open
//	KEYS[4]   cellblock:{index}:jobs
//	KEYS[5…]  keys of the step
//	ARGV[1]   script
//	ARGV[2]   async, 1 or 0
//	ARGV[3]   request id
//	ARGV[4]   reply channel
//	ARGV[5]   priority
//	ARGV[6]   start deadline in microseconds from now, 0 for none
//	ARGV[7]   key of the idempotency record, "" for none
//	ARGV[8]   inputs, "" for none and for those that are stored already
//	ARGV[9]   batch item, "" for none
//	ARGV[10]  webhook URL, "" for none
//	ARGV[11]  limits, "" for none
//	ARGV[12]  TTL after the end, in milliseconds
//	ARGV[13]  id
//	ARGV[14]  how many jobs may be open, 0 for any number
//	ARGV[15]  microseconds until the reaper's first check of the job
//	ARGV[16]  1 if the inputs are stored already, with a TTL
//	ARGV[17]  entry, "" for main
//	ARGV[18]  environment, "" for the default
//	ARGV[19…] arguments of the step
//	returns   1 if the job was created, 0 if it exists, -1 if the queue is full, -2 if the inputs are missing
const acceptScript = addFunction + `
local stored = ARGV[16] == "1"
local state = redis.call("HGET", KEYS[1], "state")
if state then -- an earlier call, whose reply was lost
	if stored and (state == "queued" or state == "running") then
		redis.call("PERSIST", KEYS[2])
	elseif stored then
		redis.call("DEL", KEYS[2])
	end
	return 0
end
local limit = tonumber(ARGV[14])
if limit > 0 and redis.call("ZCARD", KEYS[3]) >= limit then
	if stored then
		redis.call("DEL", KEYS[2])
	end
	return -1
end
if stored and redis.call("EXISTS", KEYS[2]) == 0 then
	return -2
end
local time = redis.call("TIME")
local function at(microseconds)
	return string.format("%.0f", time[1] * 1000000 + time[2] + microseconds)
end
local fields = {
	"state", "queued", "script", ARGV[1], "async", ARGV[2], "request_id", ARGV[3], "reply_to", ARGV[4],
	"priority", ARGV[5], "idempotency", ARGV[7], "created_at", at(0), "ttl", ARGV[12],
}
add(fields, "start_by", at(ARGV[6]), ARGV[6] ~= "0")
add(fields, "inputs", "1", stored or ARGV[8] ~= "")
add(fields, "batch", ARGV[9], ARGV[9] ~= "")
add(fields, "webhook", ARGV[10], ARGV[10] ~= "")
add(fields, "limits", ARGV[11], ARGV[11] ~= "")
add(fields, "entry", ARGV[17], ARGV[17] ~= "")
add(fields, "environment", ARGV[18], ARGV[18] ~= "")
redis.call("ZADD", KEYS[3], at(ARGV[15]), ARGV[13])
redis.call("ZADD", KEYS[4], 0, ARGV[13])
if stored then
	redis.call("PERSIST", KEYS[2])
elseif ARGV[8] ~= "" then
	redis.call("SET", KEYS[2], ARGV[8])
end
redis.call("HSET", KEYS[1], unpack(fields))
step({unpack(KEYS, 5)}, {unpack(ARGV, 19)})
return 1`

// Step is what a script of the store's does in the same step: a function of another package.
type Step struct {
	// Lua defines the function step(keys, args).
	Lua  string
	Keys []string
	Args []any
}

// noStep does nothing.
var noStep = Step{Lua: "local function step() end\n"}

// Create stores a job as queued, regardless of the number of open jobs. Nothing delivers it.
func (s *Store) Create(ctx context.Context, job jobs.Job) error {
	_, err := s.Accept(ctx, job, noStep, 0)
	return err
}

// Accept stores a job as queued and takes a step in which it is enqueued, unless limit jobs or more are open (0: no
// limit), and reports whether the job is new. It returns a *jobs.Error with CodeQueueFull at the limit.
//
// Out of memory or of disk, Redis refuses the first write of a script, and none after it. The index is written first
// all the same: it may contain jobs that do not exist, which the reaper removes, but never lacks one that does.
func (s *Store) Accept(ctx context.Context, job jobs.Job, step Step, limit int) (bool, error) {
	size := job.Inputs.Size()
	script := redis.NewScript(step.Lua + acceptScript)
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
	keys := append([]string{jobKey(job.ID), inputsKey(job.ID), openKey, allKey}, step.Keys...)
	args := append([]any{
		job.Script, async, job.RequestID, job.ReplyTo, string(job.Priority), job.StartWithin.Microseconds(),
		job.IdempotencyKey, inputs, encodeItem(job.BatchItem), job.WebhookURL, limits, s.TTL(job).Milliseconds(),
		job.ID, limit, (firstCheck + redisconn.TransferTime(size)).Microseconds(), 0,
		string(job.Entry), job.Environment,
	}, step.Args...)
	var created int
	if size < LargeRecord {
		created, err = script.Run(ctx, s.client, keys, args...).Int()
	} else {
		args[inputsArg], args[storedArg] = "", 1
		created, err = acceptStored(ctx, redisconn.ForBytes(s.client, size), script, keys, inputs, args)
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	case created == -1:
		return false, fmt.Errorf("create job %s: %w", job.ID, jobs.Errorf(jobs.CodeQueueFull, "the queue is full"))
	case created < 0:
		return false, fmt.Errorf("create job %s: the inputs are missing", job.ID)
	}
	return created == 1, nil
}

const (
	// inputsArg and storedArg are the indexes of two of acceptScript's arguments.
	inputsArg, storedArg = 7, 15
	// inputsGrace is how long inputs are kept whose job is never created.
	inputsGrace = 10 * time.Minute
)

// acceptStored stores large inputs and then runs acceptScript, in one round trip. Redis copies what a script is called
// with twice, and no other client gets an answer meanwhile.
func acceptStored(
	ctx context.Context, client redis.UniversalClient, script *redis.Script, keys []string, inputs []byte, args []any,
) (int, error) {
	pipeline := client.Pipeline()
	pipeline.Set(ctx, keys[1], inputs, inputsGrace)
	// With its text: Redis may have been started again since it was last sent.
	created := script.Eval(ctx, pipeline, keys, args...)
	if _, err := pipeline.Exec(ctx); err != nil {
		return 0, err
	}
	return created.Int()
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
