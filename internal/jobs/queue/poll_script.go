package queue

import (
	"sync"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/flows"
)

// Step is what else a consumer's script does with a task that it takes: functions of another package.
type Step struct {
	// Lua defines two functions. load(id) returns a record of the job and its owner, nil without a record: a table with
	// tenant, flow and terms (see package flows), batch (whether it is of a batch), max_running (0 for no bound) and
	// queued (whether it has not started). step(id, args, record) takes the job; its reply is Delivery.Reply. Both may
	// use flow_of and terms_of.
	Lua  string
	Args []any
}

// noStep does nothing.
var noStep = Step{Lua: "local function load() end\nlocal function step() end\n"}

// flowFunctions are all functions of package flows.
const flowFunctions = flows.Tokens + flows.Release + flows.Enter + flows.Choose

// againFunctions is Lua with functions that follow those of a step.
//
//	owner_of(id)                 what load returns, nothing if that fails
//	wait_again(env, id, owner)   puts a job that was taken before into its flow, as the first one. While it waits, it
//	                             does not count as running unless it has started.
const againFunctions = `
local function owner_of(id)
	local done, record, owner = pcall(load, id)
	if done then
		return record, owner
	end
end
local function wait_again(env, id, owner)
	if owner.max_running > 0 and owner.queued then
		release(owner.tenant, id)
	end
	enter(env, owner.tenant, owner.flow, owner.terms, id, true)
end
`

// Replies of pollScript without a task.
const (
	pollLeft = -1
	pollMore = -2
)

// pollScript takes the next task: of the first queue, in the order of its arguments, that has one among asynq's pending
// ones or in the flows of its environment. It does to that queue what asynq's own script does (dequeueCmd in
// internal/rdb/rdb.go, v0.26), but leaves pending_since, which asynq does not read of active tasks.
//
//	KEYS[1]  asynq:{queue}:pending of the first queue
//	ARGV[1]  when the lease expires, in seconds since 1970
//	ARGV[2]  1 if a queue may be paused
//	ARGV[3]  1 if jobs of batches are passed over
//	ARGV[4]  at which offset in the order of the first queue's tenants to begin
//	ARGV[5]  how many tenants and flows to look at
//	ARGV[6]  list that gets a token if jobs were passed over and none is taken, "" for none
//	ARGV[7]  1 if jobs were passed over by scripts before this one of the same poll
//	ARGV[…]  the number of the tenants that are passed over, and their names
//	ARGV[…]  twice the number of queues, and of each its name and its environment ("" if it has no flows)
//	ARGV[…]  arguments of the step
//	returns  nil if there is nothing; -1 if all was passed over; -2, index of a queue, offset in its order, 1 if jobs
//	         were passed over, if there may be more; or the queue's index, the encoded task (false if it has no
//	         record), its id, tenant, 1 if it is of a batch, and what the step returned (nothing if it failed)
//
//nolint:dupword // Lua returns several values
const pollScript = againFunctions + `
local careful, no_batches, spill = ARGV[2] == "1", ARGV[3] == "1", ARGV[6]
local offset, limit, at = tonumber(ARGV[4]), tonumber(ARGV[5]), 8
local function next_list()
	local list = {unpack(ARGV, at + 1, at + tonumber(ARGV[at]))}
	at = at + 1 + #list
	return list
end
local barred, left = {}, ARGV[7] == "1"
for _, tenant in ipairs(next_list()) do
	barred[tenant] = true
end
local queues = next_list()
local args = {unpack(ARGV, at)}

local function take_pending(base, env)
	for _ = 1, limit do
		local id = redis.call("RPOPLPUSH", base .. "pending", base .. "active")
		if not id then
			return nil
		end
		local record, owner = owner_of(id)
		if not owner or not barred[owner.tenant] and not (no_batches and owner.batch) then
			return id, record, owner
		end
		left = true
		redis.call("LREM", base .. "active", 1, id)
		if env == "" then
			redis.call("RPUSH", base .. "pending", id)
			return nil
		end
		wait_again(env, id, owner)
	end
end

local function take_flow(active, env)
	for _ = 1, limit do
		local id, tenant, flow, terms = choose(env, active, barred, no_batches, offset, limit)
		if not id then
			left = left or tenant
			return nil, nil, nil, flow
		end
		local record, owner = owner_of(id)
		if fits(env, active, id, tenant, flow, terms, owner) then
			return id, record, owner or {tenant = tenant, batch = string.sub(flow, 1, 2) == "b:", max_running = 0}
		end
	end
	return nil, nil, nil, offset
end

-- Several jobs of a tenant may have ended with one token.
local function wake_for_next(env, owner)
	local flows = "cellblock:{flows}:" .. env .. ":" .. owner.tenant
	if redis.call("SCARD", "` + flows.RunningTenants + `:" .. owner.tenant) < owner.max_running
			and (redis.call("EXISTS", flows .. ":" .. owner.flow) == 1 or redis.call("ZCARD", flows) > 2) then
		push_tokens(wake_list(env), 1)
	end
end

local function take(index, base, env, id, record, owner)
	local task = base .. "t:" .. id
	redis.call("HSET", task, "state", "active")
	redis.call("ZADD", base .. "lease", ARGV[1], id)
	local message = redis.call("HGET", task, "msg")
	if not message then
		return {index, false}
	end
	if owner.max_running > 0 and owner.queued then
		redis.call("SADD", "` + flows.RunningTenants + `:" .. owner.tenant, id)
		redis.call("SADD", "` + flows.RunningTenants + `", owner.tenant)
		if env ~= "" then
			wake_for_next(env, owner)
		end
	end
	-- The task is taken: an error of the step must not keep it from its handler.
	local done, reply = pcall(step, id, args, record)
	return {index, message, id, owner.tenant, owner.batch and 1 or 0, done and reply or nil}
end

if #queues > 2 then
	local places = {}
	for i = 1, #queues, 2 do
		table.insert(places, "asynq:{" .. queues[i] .. "}:pending")
		if queues[i + 1] ~= "" then
			table.insert(places, "cellblock:{flows}:" .. queues[i + 1])
		end
	end
	if redis.call("EXISTS", unpack(places)) == 0 then
		return nil
	end
end
for i = 1, #queues, 2 do
	local base, env = "asynq:{" .. queues[i] .. "}:", queues[i + 1]
	if not (careful and redis.call("EXISTS", base .. "paused") == 1) then
		local id, record, owner = take_pending(base, env)
		if not id and env ~= "" then
			local more
			id, record, owner, more = take_flow(base .. "active", env)
			if more then
				return {-2, (i - 1) / 2, more, left and 1 or 0}
			end
		end
		if id then
			return take((i - 1) / 2, base, env, id, record, owner or {tenant = "operator", max_running = 0})
		end
	end
	offset = 0
end
if left and spill ~= "" then
	push_tokens(spill, 1)
end
return left and {-1} or nil`

// forwardScript moves tasks whose pause is over to where they wait, up to 100 at a time, as asynq's own script does
// (forwardCmd in internal/rdb/rdb.go, v0.26), but into their flows, and wakes consumers.
//
//	KEYS[1]  asynq:{queue}:retry, or scheduled
//	KEYS[2]  asynq:{queue}:pending
//	KEYS[3]  the list of tokens that wakes the queue's consumers
//	ARGV[1]  time in seconds since 1970
//	ARGV[2]  asynq:{queue}:t:
//	ARGV[3]  the environment of the queue's flows, "" if it has none
//	returns  the number of tasks
const forwardScript = againFunctions + `
local ids = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "LIMIT", 0, 100)
for _, id in ipairs(ids) do
	redis.call("ZREM", KEYS[1], id)
	redis.call("HSET", ARGV[2] .. id, "state", "pending")
	local _, owner = owner_of(id)
	if owner and ARGV[3] ~= "" then
		wait_again(ARGV[3], id, owner)
	else
		redis.call("LPUSH", KEYS[2], id)
		push_tokens(KEYS[3], 1)
	end
end
return #ids`

// scripts are those of a consumer.
type scripts struct{ poll, forward *redis.Script }

func newScripts(step Step) scripts {
	return scripts{
		poll:    redis.NewScript(flowFunctions + step.Lua + pollScript),
		forward: redis.NewScript(flowFunctions + step.Lua + forwardScript),
	}
}

// replies are what steps returned for the tasks that asynq has not handed to the handler yet, by id.
type replies struct {
	mu   sync.Mutex
	byID map[string][]string
}

func (r *replies) keep(id string, reply []any) {
	texts := make([]string, len(reply))
	for i, part := range reply {
		texts[i], _ = part.(string)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[string][]string{}
	}
	r.byID[id] = texts
}

func (r *replies) take(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	reply := r.byID[id]
	delete(r.byID, id)
	return reply
}
