package store

import "github.com/redis/go-redis/v9"

// lateFunction is Lua that reports whether a start deadline has passed, given start_by (false for none) and Redis's
// time in microseconds since 1970. A job may still be started in the microsecond of its deadline. An invalid deadline
// has not passed; Take returns ErrDamaged for it.
const lateFunction = `
local function late(start_by, now)
	local by = start_by and tonumber(start_by)
	return by and by < now
end
`

// ttlFunction is Lua that returns a record's TTL in milliseconds, or a default if the record has none or an invalid
// one: no record may prevent a job from ending.
const ttlFunction = `
local function ttl_of(stored, otherwise)
	local ms = stored and string.find(stored, "^%d+$") and tonumber(stored)
	if ms and ms > 0 and ms < 9e12 then
		return stored
	end
	return otherwise
end
`

// addFunction is Lua that adds a field to a list of names and values for HSET, if a condition holds.
const addFunction = `
local function add(fields, name, value, condition)
	if condition then
		table.insert(fields, name)
		table.insert(fields, value)
	end
end
`

// channelsFunctions is Lua for the field watched of a job or batch: the Pub/Sub channels of the API replicas on which a
// client watches it, each after a space.
const channelsFunctions = `
local function add_channel(key, channel)
	local channels = redis.call("HGET", key, "watched") or ""
	if not string.find(channels .. " ", " " .. channel .. " ", 1, true) then
		redis.call("HSET", key, "watched", channels .. " " .. channel)
	end
end
local function publish(channels, message)
	for channel in string.gmatch(channels or "", "%S+") do
		redis.call("PUBLISH", channel, message)
	end
end
`

// dueScript lists the members of a sorted set whose check is due.
//
//	KEYS[1]  cellblock:{index}:open or cellblock:{index}:webhooks
//	ARGV[1]  maximum number of members
//	returns  the time in microseconds since 1970, then the members
var dueScript = redis.NewScript(`
local time = redis.call("TIME")
local now = string.format("%.0f", time[1] * 1000000 + time[2])
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now, "LIMIT", 0, ARGV[1])
table.insert(due, 1, now)
return due`)

// deleteOwnScript deletes an idempotency record or a lease.
//
//	KEYS[1]  cellblock:{sum}:idempotency or cellblock:reaper
//	ARGV[1]  job id or token with which the value must begin
//	returns  1 if it was deleted, else 0
var deleteOwnScript = redis.NewScript(`
local bound = redis.call("GET", KEYS[1])
if bound and string.sub(bound, 1, #ARGV[1]) == ARGV[1] then
	return redis.call("DEL", KEYS[1])
end
return 0`)

// memberFunctions is Lua for the members of the index of open jobs, as openMember makes them. tenant_of returns nil for
// the operator's.
const memberFunctions = `
local function open_member(id, tenant)
	if tenant and tenant ~= "" then
		return id .. " " .. tenant
	end
	return id
end
local function tenant_of(member)
	return string.match(member, " (.+)$")
end
`

// finalizeFunction removes an ended job from the open jobs, given its member there, and counts it, also for its tenant.
// It needs memberFunctions.
const finalizeFunction = `
local function finalize(open, ended, member)
	if redis.call("ZREM", open, member) == 1 then
		redis.call("INCR", ended)
		local tenant = tenant_of(member)
		if tenant then
			redis.call("HINCRBY", "` + openByTenantKey + `", tenant, -1)
		end
	end
end
`
