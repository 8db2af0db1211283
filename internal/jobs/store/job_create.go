package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
//	ARGV[1]   id
//	ARGV[2]   how many jobs may be open, 0 for any number
//	ARGV[3]   microseconds until the reaper's first check of the job
//	ARGV[4]   start deadline in microseconds from now, 0 for none
//	ARGV[5]   inputs, "" for none and for those that are stored already
//	ARGV[6]   1 if the inputs are stored already, with a TTL
//	ARGV[7]   the number of the arguments that follow with fields of the record
//	ARGV[8…]  names and values of these fields
//	ARGV[…]   arguments of the step
//	returns   1 if the job was created, 0 if it exists, -1 if the queue is full, -2 if the inputs are missing
const acceptScript = `
local id, limit, inputs, stored = ARGV[1], tonumber(ARGV[2]), ARGV[5], ARGV[6] == "1"
local last = 7 + tonumber(ARGV[7])
local state = redis.call("HGET", KEYS[1], "state")
if state then -- an earlier call, whose reply was lost
	if stored and (state == "queued" or state == "running") then
		redis.call("PERSIST", KEYS[2])
	elseif stored then
		redis.call("DEL", KEYS[2])
	end
	return 0
end
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
local fields = {unpack(ARGV, 8, last)}
local function add(name, value)
	table.insert(fields, name)
	table.insert(fields, value)
end
add("created_at", at(0))
if ARGV[4] ~= "0" then
	add("start_by", at(ARGV[4]))
end
if stored or inputs ~= "" then
	add("inputs", "1")
end
redis.call("ZADD", KEYS[3], at(ARGV[3]), id)
redis.call("ZADD", KEYS[4], 0, id)
if stored then
	redis.call("PERSIST", KEYS[2])
elseif inputs ~= "" then
	redis.call("SET", KEYS[2], inputs)
end
redis.call("HSET", KEYS[1], unpack(fields))
step({unpack(KEYS, 5)}, {unpack(ARGV, last + 1)})
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
	inputs, err := encodeInputs(job.Inputs)
	fields, fieldsErr := s.newFields(job)
	if err = errors.Join(err, fieldsErr); err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	keys := append([]string{jobKey(job.ID), inputsKey(job.ID), openKey, allKey}, step.Keys...)
	args := []any{
		job.ID, limit, (firstCheck + redisconn.TransferTime(size)).Microseconds(), job.StartWithin.Microseconds(),
		inputs, 0, len(fields),
	}
	args = slices.Concat(args, fields, step.Args)
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

// newFields returns the names and values of the fields of a new job's record that are known before its acceptance.
func (s *Store) newFields(job jobs.Job) ([]any, error) {
	async := 0
	if job.Async {
		async = 1
	}
	limits, err := encodeLimits(job.Limits, job.LimitsOpen)
	fields := []any{
		"state", string(jobs.StateQueued), "script", job.Script, "async", async, "request_id", job.RequestID,
		"reply_to", job.ReplyTo, "priority", string(cmp.Or(job.Priority, jobs.PriorityDefault)),
		"idempotency", job.IdempotencyKey, "ttl", s.TTL(job).Milliseconds(),
	}
	for _, field := range []struct{ name, value string }{
		{"batch", encodeItem(job.BatchItem)},
		{"webhook", job.WebhookURL},
		{"limits", limits},
		{"entry", string(job.Entry)},
		{"environment", job.Environment},
		{"tenant", encodeTenant(job.Tenant)},
		{"weight", encodeCount(job.Weight)},
		{"max_running", encodeCount(job.MaxRunning)},
	} {
		if field.value != "" {
			fields = append(fields, field.name, field.value)
		}
	}
	return fields, err
}

// encodeCount returns the stored form of a number, "" for 0.
func encodeCount(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// encodeTenant returns the stored form of a tenant: "" for the operator, as in the records of earlier versions.
func encodeTenant(tenant jobs.Tenant) string {
	if tenant == jobs.Operator {
		return ""
	}
	return string(tenant)
}

// decodeTenant returns the tenant of a record.
func decodeTenant(stored string) jobs.Tenant { return cmp.Or(jobs.Tenant(stored), jobs.Operator) }

const (
	// inputsArg and storedArg are the indexes of two of acceptScript's arguments.
	inputsArg, storedArg = 4, 5
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
