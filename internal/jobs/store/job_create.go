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

// acceptScript creates a queued job unless it exists, or as many jobs are open as may be, and then takes a Step. A
// tenant other than the operator may have as many open jobs as are still free, so that none keeps the others out
// (dynamic thresholds: Choudhury and Hahne, 1998), and at most a number of its own.
//
//	KEYS[1]   cellblock:{id}:job
//	KEYS[2]   cellblock:{id}:inputs
//	KEYS[3]   cellblock:{index}:open
//	KEYS[4]   cellblock:{index}:jobs or cellblock:{index}:jobs:tenant
//	KEYS[5]   cellblock:{index}:labels
//	KEYS[6…]  keys of the step
//	ARGV[1]   id
//	ARGV[2]   how many jobs may be open, 0 for any number
//	ARGV[3]   microseconds until the reaper's first check of the job
//	ARGV[4]   start deadline in microseconds from now, 0 for none
//	ARGV[5]   inputs, "" for none and for those that are stored already
//	ARGV[6]   1 if the inputs are stored already, with a TTL
//	ARGV[7]   the number of the arguments that follow with fields of the record
//	ARGV[8]   tenant, "" for the operator
//	ARGV[9]   how many jobs of the tenant may be open, 0 for any number
//	ARGV[10]  hashes of the labels, each after a space, "" for none
//	ARGV[11…] names and values of these fields
//	ARGV[…]   arguments of the step
//	returns   1 if the job was created, 0 if it exists, -1 if the queue is full, -2 if the inputs are missing; or how
//	          many open jobs the tenant has and how many it may have, if it has as many
const acceptScript = `
local id, limit, inputs, stored = ARGV[1], tonumber(ARGV[2]), ARGV[5], ARGV[6] == "1"
local last = 10 + tonumber(ARGV[7])
local state = redis.call("HGET", KEYS[1], "state")
if state then -- an earlier call, whose reply was lost
	if stored and (state == "queued" or state == "running") then
		redis.call("PERSIST", KEYS[2])
	elseif stored then
		redis.call("DEL", KEYS[2])
	end
	return 0
end
local free = limit > 0 and limit - redis.call("ZCARD", KEYS[3]) or math.huge
if free <= 0 then
	if stored then
		redis.call("DEL", KEYS[2])
	end
	return -1
end
if stored and redis.call("EXISTS", KEYS[2]) == 0 then
	return -2
end
if ARGV[8] ~= "" then
	local own = redis.call("HINCRBY", "` + openByTenantKey + `", ARGV[8], 1) - 1
	local most = tonumber(ARGV[9])
	most = most > 0 and math.min(most, free) or free
	if own >= most then
		redis.call("HINCRBY", "` + openByTenantKey + `", ARGV[8], -1)
		if stored then
			redis.call("DEL", KEYS[2])
		end
		return {own, most}
	end
end
local time = redis.call("TIME")
local function at(microseconds)
	return string.format("%.0f", time[1] * 1000000 + time[2] + microseconds)
end
local fields = {unpack(ARGV, 11, last)}
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
if redis.call("ZADD", KEYS[3], at(ARGV[3]), open_member(id, ARGV[8])) == 0 and ARGV[8] ~= "" then
	redis.call("HINCRBY", "` + openByTenantKey + `", ARGV[8], -1) -- the job of a lost record is counted already
end
redis.call("ZADD", KEYS[4], 0, id)
if ARGV[10] ~= "" then
	local members = {}
	for hash in string.gmatch(ARGV[10], "%S+") do
		table.insert(members, 0)
		table.insert(members, hash .. " " .. id)
	end
	redis.call("ZADD", KEYS[5], unpack(members))
end
if stored then
	redis.call("PERSIST", KEYS[2])
elseif inputs ~= "" then
	redis.call("SET", KEYS[2], inputs)
end
redis.call("HSET", KEYS[1], unpack(fields))
step({unpack(KEYS, 6)}, {unpack(ARGV, last + 1)})
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
	_, err := s.Accept(ctx, job, noStep, OpenLimits{})
	return err
}

// OpenLimits bound the open jobs; 0 is no bound.
type OpenLimits struct {
	// Queue is for the jobs of all tenants, and Tenant for those of the job's. Tenant is none for the operator.
	Queue, Tenant int
}

// Accept stores a job as queued and takes a step in which it is enqueued, and reports whether the job is new. It
// returns a *jobs.Error with CodeQueueFull if limits.Queue jobs or more are open, or with CodeQuotaExceeded if the
// tenant has limits.Tenant, or more than are still free in the queue.
//
// Out of memory or of disk, Redis refuses the first write of a script, and none after it. The index is written first
// all the same: it may contain jobs that do not exist, which the reaper removes, but never lacks one that does.
func (s *Store) Accept(ctx context.Context, job jobs.Job, step Step, limits OpenLimits) (bool, error) {
	size := job.Inputs.Size()
	script := redis.NewScript(step.Lua + memberFunctions + acceptScript)
	inputs, err := encodeInputs(job.Inputs)
	fields, fieldsErr := s.newFields(job)
	if err = errors.Join(err, fieldsErr); err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	if err := s.noteTenant(ctx, job.Tenant); err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	keys := append([]string{jobKey(job.ID), inputsKey(job.ID), openKey, allKey(job.Tenant), labelsKey}, step.Keys...)
	args := []any{
		job.ID, s.open.limitOf(s.parts.Index(job.ID), s.parts.Len(), limits.Queue),
		(firstCheck + redisconn.TransferTime(size)).Microseconds(),
		job.StartWithin.Microseconds(), inputs, 0, len(fields), encodeTenant(job.Tenant), max(0, limits.Tenant),
		labelHashes(job),
	}
	args = slices.Concat(args, fields, step.Args)
	var reply any
	if size < LargeRecord {
		reply, err = script.Run(ctx, s.of(job.ID), keys, args...).Result()
	} else {
		args[inputsArg], args[storedArg] = "", 1
		reply, err = acceptStored(ctx, redisconn.ForBytes(s.of(job.ID), size), script, keys, inputs, args)
	}
	var created bool
	if err == nil {
		created, err = decodeAccepted(reply, limits)
	}
	if err != nil {
		return false, fmt.Errorf("create job %s: %w", job.ID, err)
	}
	return created, nil
}

// decodeAccepted decodes what acceptScript returns.
func decodeAccepted(reply any, limits OpenLimits) (created bool, err error) {
	if counts, ok := reply.([]any); ok && len(counts) == 2 {
		own, _ := counts[0].(int64)
		most, _ := counts[1].(int64)
		return false, jobs.TooManyOpen(int(own), 1, int(most), int(most) != limits.Tenant)
	}
	switch n, _ := reply.(int64); n {
	case 1:
		return true, nil
	case -1:
		return false, jobs.Errorf(jobs.CodeQueueFull, "the queue is full")
	case -2:
		return false, errors.New("the inputs are missing")
	default:
		return false, nil
	}
}

// newFields returns the names and values of the fields of a new job's record that are known before its acceptance.
func (s *Store) newFields(job jobs.Job) ([]any, error) {
	if job.Tenant == "" {
		return nil, errNoTenant
	}
	async := 0
	if job.Async {
		async = 1
	}
	limits, limitsErr := encodeLimits(job.Limits, job.LimitsOpen)
	labels, err := encodeLabels(job.Labels)
	fields := []any{
		"state", string(jobs.StateQueued), "script", job.Script, "async", async, "request_id", job.RequestID,
		"reply_to", job.ReplyTo, "priority", string(cmp.Or(job.Priority, jobs.PriorityDefault)),
		"idempotency", job.IdempotencyKey, "ttl", s.TTL(job).Milliseconds(),
		"bytes_in", len(job.Script) + job.Inputs.Size(),
	}
	for _, field := range []struct{ name, value string }{
		{"batch", encodeItem(job.BatchItem)},
		{"webhook", job.WebhookURL},
		{"limits", limits},
		{"entry", string(job.Entry)},
		{"environment", job.Environment},
		{"tenant", encodeTenant(job.Tenant)},
		{"labels", labels},
		{"usage_label", job.Labels[s.settings.UsageLabel]}, // no label has the key ""
		{"weight", encodeCount(job.Weight)},
		{"max_running", encodeCount(job.MaxRunning)},
		{"trace", encodeTrace(job.Trace)},
	} {
		if field.value != "" {
			fields = append(fields, field.name, field.value)
		}
	}
	return fields, errors.Join(err, limitsErr)
}

// encodeCount returns the stored form of a number, "" for 0.
func encodeCount(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

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
) (any, error) {
	pipeline := client.Pipeline()
	pipeline.Set(ctx, keys[1], inputs, inputsGrace)
	// With its text: Redis may have been started again since it was last sent.
	created := script.Eval(ctx, pipeline, keys, args...)
	if _, err := pipeline.Exec(ctx); err != nil {
		return nil, err
	}
	return created.Result()
}

// clientFor returns the client on which to run a script for a job, with size bytes of arguments. If these are large, it
// first loads the script, since Redis would answer NOSCRIPT to one that it has not cached, and the arguments would be
// sent twice.
func (s *Store) clientFor(
	ctx context.Context, id string, script *redis.Script, size int,
) (redis.UniversalClient, error) {
	if size < LargeRecord {
		return s.of(id), nil
	}
	return redisconn.ForBytes(s.of(id), size), script.Load(ctx, s.of(id)).Err()
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
