package tenantkeys

import (
	"strings"

	"github.com/redis/go-redis/v9"
)

// The keys of Redis, all in one slot, so that each change is one script.
const (
	// recordPrefix and the SHA-256 of a key in hexadecimal are the key of a hash: id, tenant, scopes (with spaces
	// between them), limits (as jobs.EncodeTenantLimits has them; "" for none), name, and in milliseconds: created,
	// expires, revoked (since 1970; 0 for never) and lifetime (0 for no end).
	recordPrefix = "cellblock:{keys}:key:"
	// sumsKey is a hash of the SHA-256 of all keys, by their ids.
	sumsKey = "cellblock:{keys}:sums"
	// tenantPrefix and the name of a tenant are the key of a set of the ids of its keys.
	tenantPrefix = "cellblock:{keys}:tenant:"
	// forgetKey is a sorted set of the ids of keys that end, by when each is forgotten (milliseconds since 1970).
	forgetKey = "cellblock:{keys}:forget"
)

// functions is Lua for the scripts. In those that change keys, KEYS[1] is sumsKey and KEYS[2] forgetKey. The other keys
// of the slot are computed. keep is for how many milliseconds a key is listed after its end.
var functions = `
local records, tenants = "` + recordPrefix + `", "` + tenantPrefix + `"
local fields = {"` + strings.Join(fields, `", "`) + `"}
local function clock()
	local time = redis.call("TIME")
	return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function whole(number)
	return string.format("%.0f", number)
end
local function forget_old(now)
	for _, id in ipairs(redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", whole(now), "LIMIT", 0, 100)) do
		local sum = redis.call("HGET", KEYS[1], id)
		if sum then
			redis.call("SREM", tenants .. (redis.call("HGET", records .. sum, "tenant") or ""), id)
			redis.call("DEL", records .. sum)
			redis.call("HDEL", KEYS[1], id)
		end
		redis.call("ZREM", KEYS[2], id)
	end
end
local function add(now, keep, sum, id, tenant, scopes, limits, name, lifetime)
	if redis.call("HSETNX", KEYS[1], id, sum) == 0 then
		return false
	end
	local expires = 0
	if tonumber(lifetime) > 0 then
		expires = now + lifetime
		redis.call("ZADD", KEYS[2], whole(expires + keep), id)
	end
	redis.call("SADD", tenants .. tenant, id)
	redis.call("HSET", records .. sum, "id", id, "tenant", tenant, "scopes", scopes, "limits", limits, "name", name,
		"created", whole(now), "expires", whole(expires), "revoked", 0, "lifetime", lifetime)
	return true
end
local function revoke(now, keep, sum, id)
	redis.call("HSET", records .. sum, "revoked", whole(now))
	redis.call("ZADD", KEYS[2], whole(now + keep), id)
end
local function describe(now, sum)
	return {whole(now), redis.call("HMGET", records .. sum, unpack(fields))}
end
`

// created is Lua for the begin of scripts that create a key: the client repeats a script whose reply was lost, and the
// key that the first run created must not be refused then. No other key has its sum.
func created(sum, id string) string {
	return `
if redis.call("HGET", KEYS[1], ` + id + `) == ` + sum + ` then
	return describe(clock(), ` + sum + `)
end`
}

// findScript reads a key.
//
//	KEYS[1]  the key of its record
//	ARGV[1]  the SHA-256
//	returns  the time in milliseconds since 1970, and the fields of the record
var findScript = redis.NewScript(functions + `
return describe(clock(), ARGV[1])`)

// createScript creates a key.
//
//	KEYS     those of functions
//	ARGV     keep, the SHA-256, id, tenant, scopes, limits, name, lifetime
//	returns  the time and the fields of the record; nothing if there is another key with this id
var createScript = redis.NewScript(functions + created("ARGV[2]", "ARGV[3]") + `
local now = clock()
forget_old(now)
if not add(now, ARGV[1], unpack(ARGV, 2)) then
	return false
end
return describe(now, ARGV[2])`)

// sumsScript forgets keys, and lists the others.
//
//	KEYS     those of functions
//	ARGV[1]  a tenant; "" for all
//	returns  the time, and the SHA-256 of each key
var sumsScript = redis.NewScript(functions + `
local now = clock()
forget_old(now)
if ARGV[1] == "" then
	return {whole(now), redis.call("HVALS", KEYS[1])}
end
local ids, sums = redis.call("SMEMBERS", tenants .. ARGV[1]), {}
for _, id in ipairs(ids) do
	table.insert(sums, redis.call("HGET", KEYS[1], id) or nil)
end
return {whole(now), sums}`)

// revokeScript revokes a key. One that is revoked already stays as it is.
//
//	KEYS     those of functions
//	ARGV     keep, id
//	returns  the time and the fields of the record; nothing if there is none
var revokeScript = redis.NewScript(functions + `
local now = clock()
forget_old(now)
local sum = redis.call("HGET", KEYS[1], ARGV[2])
if not sum then
	return false
end
if redis.call("HGET", records .. sum, "revoked") == "0" then
	revoke(now, ARGV[1], sum, ARGV[2])
end
return describe(now, sum)`)

// rotateScript creates a key with the properties of another, which ends after a while, if it does not end before.
//
//	KEYS     those of functions
//	ARGV     keep, id of the old key, for how many milliseconds it can still be used, SHA-256 and id of the new key
//	returns  the time and the fields of the new key's record; nothing if there is no old one, "ended" if it has ended,
//	         "taken" if there is another key with the new id
var rotateScript = redis.NewScript(functions + created("ARGV[4]", "ARGV[5]") + `
local now = clock()
forget_old(now)
local keep, old, grace = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sum = redis.call("HGET", KEYS[1], old)
if not sum then
	return false
end
local tenant, scopes, limits, name, expires, revoked, lifetime = unpack(redis.call("HMGET", records .. sum,
	"tenant", "scopes", "limits", "name", "expires", "revoked", "lifetime"))
expires = tonumber(expires)
if revoked ~= "0" or expires > 0 and expires <= now then
	return "ended"
end
if not add(now, keep, ARGV[4], ARGV[5], tenant, scopes, limits, name, lifetime) then
	return "taken"
end
if grace == 0 then
	revoke(now, keep, sum, old)
elseif expires == 0 or now + grace < expires then
	redis.call("HSET", records .. sum, "expires", whole(now + grace))
	redis.call("ZADD", KEYS[2], whole(now + grace + keep), old)
end
return describe(now, ARGV[4])`)
