package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/flows"
	"cellblock/internal/redisconn"
)

// loadFunction is Lua that reads what take needs of a job. It returns the values of its fields and its owner as package
// flows has it, or nil if there is no such job. It uses functions of package flows.
const loadFunction = `
local function load(id)
	local job = redis.call("HMGET", "cellblock:{" .. id .. "}:job", "state", "script", "async", "request_id",
		"reply_to", "start_by", "created_at", "inputs", "webhook", "limits", "ttl", "entry", "environment",
		"tenant", "batch", "priority", "weight", "max_running", "trace")
	if not job[1] then
		return nil
	end
	local batch = job[15] and string.match(job[15], "^%S+")
	return job, {
		tenant = job[14] or "` + string(jobs.Operator) + `", batch = batch and true,
		flow = flow_of(batch, job[16]), terms = terms_of(job[17], job[18]),
		max_running = tonumber(job[18]) or 0, queued = job[1] == "queued",
	}
end
`

// takeFunction is Lua that records the worker that takes a queued job and returns the job's fields.
//
//	args[1]  owner of the worker
//	args[2]  size in bytes from which inputs are not returned
//	job      what load returned
//	returns  nil if there is no such job, else: state ("expired" if the start deadline of a queued job has passed),
//	         script, async, request id, reply channel, age in microseconds, inputs ("" if they are large), webhook
//	         URL, size of the inputs in bytes ("" for a job without inputs), limits, TTL, start deadline, entry,
//	         environment, tenant, and the place in a trace if the job has one
const takeFunction = lateFunction + `
local function take_job(id, args, job)
	local job_key, inputs_key = "cellblock:{" .. id .. "}:job", "cellblock:{" .. id .. "}:inputs"
	if not job then
		return nil
	end
	local time = redis.call("TIME")
	local now = time[1] * 1000000 + time[2]
	if job[1] == "queued" then
		if late(job[6], now) then
			job[1] = "expired"
		else
			redis.call("HSET", job_key, "taken_by", args[1])
		end
	end
	local size = job[8] and redis.call("STRLEN", inputs_key) or 0
	local inputs = size > 0 and size < tonumber(args[2]) and redis.call("GET", inputs_key) or ""
	return {job[1], job[2] or "", job[3] or "", job[4] or "", job[5] or "",
		string.format("%.0f", now - (job[7] or now)), inputs, job[9] or "", job[8] and tostring(size) or "",
		job[10] or "", job[11] or "", job[6] or "", job[12] or "", job[13] or "", job[14] or "", job[19] or nil}
end
`

// TakeStep is Lua with functions load(id), which reads a job, and step(id, args, job), which takes it, and the
// arguments of the latter, for a script that finds out which job is delivered. What step returns is for Taken.
func TakeStep(owner string) (lua string, args []any) {
	return loadFunction + takeFunction + "local step = take_job\n", []any{owner, LargeRecord}
}

// takeScript takes a job.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  id
//	ARGV[2]  owner of the worker
//	ARGV[3]  size in bytes from which inputs are not returned
//	returns  what takeFunction returns
var takeScript = redis.NewScript(flows.Enter + loadFunction + takeFunction + `
return take_job(ARGV[1], {ARGV[2], ARGV[3]}, (load(ARGV[1])))`)

// touchScript makes the reaper check an open job as soon as possible.
//
//	KEYS[1]  cellblock:{index}:open
//	ARGV[1]  the job's member
//	returns  0
var touchScript = redis.NewScript(`
local time = redis.call("TIME")
return redis.call("ZADD", KEYS[1], "XX", string.format("%.0f", time[1] * 1000000 + time[2]), ARGV[1])`)

// Take is for workers. It returns what a worker needs of a job that was delivered to it, and records the worker so that
// the reaper can attribute a lost job. expired reports that the job must not be started any more. A command takes at
// most patience, and longer for large inputs. It returns a *jobs.Error with CodeNotFound if there is no such job, and
// ErrDamaged with the job's other fields and its state if the record cannot be decoded, or the inputs of a queued job
// are missing.
func (s *Store) Take(
	ctx context.Context, id, owner string, patience time.Duration,
) (job jobs.Job, state jobs.State, expired bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := takeScript.Run(bounded, s.of(id), []string{jobKey(id)}, id, owner, LargeRecord).StringSlice()
	if errors.Is(err, redis.Nil) {
		err = jobs.NotFound("job")
	}
	if err != nil {
		return jobs.Job{}, "", false, fmt.Errorf("take job %s: %w", id, err)
	}
	return s.Taken(ctx, id, reply, patience)
}

// takenTrace is the index in takeFunction's reply of the place in a trace.
const takenTrace = 15

// Taken is Take for a job that the function of TakeStep has taken, given what that returned.
func (s *Store) Taken(
	ctx context.Context, id string, reply []string, patience time.Duration,
) (job jobs.Job, state jobs.State, expired bool, err error) {
	state, expired = jobs.State(reply[0]), reply[0] == "expired"
	if expired {
		state = jobs.StateQueued
	}
	startable := state == jobs.StateQueued && !expired
	inputs := []byte(reply[6])
	if size := int(parseInt(reply[8])); size >= LargeRecord && startable {
		if inputs, err = s.largeInputs(ctx, id, size, patience); err != nil {
			return jobs.Job{}, "", false, fmt.Errorf("take job %s: %w", id, err)
		}
	}
	job = jobs.Job{
		ID: id, Script: reply[1], Async: reply[2] == "1", RequestID: reply[3], ReplyTo: reply[4], WebhookURL: reply[7],
		Environment: reply[13], Tenant: decodeTenant(reply[14]),
		Waited: time.Duration(parseInt(reply[5])) * time.Microsecond,
	}
	if len(reply) > takenTrace {
		job.Trace = decodeTrace(reply[takenTrace])
	}
	err = errors.Join(readPolicy(&job, inputs, reply[9], reply[10], reply[11]), readEntry(&job, reply[12]))
	if reply[8] == "0" && startable {
		err = errors.Join(err, errors.New("the inputs are missing")) // evicted, or lost
	}
	if err != nil {
		return job, state, expired, fmt.Errorf("take job %s: %w: %w", id, ErrDamaged, err)
	}
	// The reaper's next check of a job that has waited may be far off.
	if job.Waited > firstCheck/2 && startable {
		touching, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := touchScript.Run(touching, s.of(id), []string{openKey}, openMember(id, job.Tenant)).Err(); err != nil {
			return jobs.Job{}, "", false, fmt.Errorf("take job %s: %w", id, err)
		}
	}
	return job, state, expired, nil
}

// readPolicy decodes the inputs and the policy of a record.
func readPolicy(job *jobs.Job, inputs []byte, limits, ttl, startBy string) error {
	var errs [4]error
	job.Inputs, errs[0] = decodeInputs(inputs)
	job.Limits, job.LimitsOpen, errs[1] = decodeLimits(limits)
	if ttl != "" { // missing in records of an earlier version
		ms, err := strconv.ParseInt(ttl, 10, 64)
		if err != nil || ms <= 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			errs[2] = fmt.Errorf("decode the lifetime %q", ttl)
		} else {
			job.TTL = time.Duration(ms) * time.Millisecond
		}
	}
	if startBy != "" && parseTime(startBy).IsZero() {
		errs[3] = fmt.Errorf("decode the start deadline %q", startBy)
	}
	return errors.Join(errs[:]...)
}

// readEntry decodes a record's entry. One of a later version must not be run in another way.
func readEntry(job *jobs.Job, entry string) error {
	if job.Entry = jobs.Entry(entry); !job.Entry.Known() {
		return fmt.Errorf("decode the entry %q", entry)
	}
	return nil
}

// largeInputs reads inputs of size bytes. It returns a *jobs.Error with CodeNotFound if the job has ended meanwhile.
func (s *Store) largeInputs(ctx context.Context, id string, size int, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+redisconn.TransferTime(size))
	defer cancel()
	inputs, err := redisconn.ForBytes(s.of(id), size).Get(ctx, inputsKey(id)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, jobs.NotFound("job")
	}
	return inputs, err
}

// untakeScript removes the record of the worker that took a queued job. The job does not count as running any more: the
// tenant's other jobs need not wait for it.
//
//	KEYS[1]  cellblock:{id}:job
//	ARGV[1]  owner of the worker
//	ARGV[2]  id
//	returns  1
var untakeScript = redis.NewScript(flows.Tokens + flows.Release + `
local job = redis.call("HMGET", KEYS[1], "taken_by", "state", "tenant", "max_running")
if job[1] == ARGV[1] then
	redis.call("HDEL", KEYS[1], "taken_by")
	if job[2] == "queued" and job[4] then
		release(job[3] or "` + string(jobs.Operator) + `", ARGV[2])
	end
end
return 1`)

// Untake undoes Take: the worker leaves a queued job to another worker.
func (s *Store) Untake(ctx context.Context, id, owner string) error {
	if err := untakeScript.Run(ctx, s.of(id), []string{jobKey(id)}, owner, id).Err(); err != nil {
		return fmt.Errorf("untake job %s: %w", id, err)
	}
	return nil
}
