package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// idleGrace is how much longer a worker that has reported that it holds no job is expected to take jobs. It sends fewer
// heartbeats, of which some may be lost or late.
const idleGrace = 6 * time.Second

// liveFunction is Lua that calls a function with each live worker, whether it is draining, and when its heartbeat
// expires.
var liveFunction = fmt.Sprintf(`
local idle_grace = %d
local function live(workers, held, draining, each)
	local time = redis.call("TIME")
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	local all = redis.call("ZRANGEBYSCORE", workers, string.format("(%%.0f", now - idle_grace), "+inf", "WITHSCORES")
	local drains = {}
	for _, owner in ipairs(redis.call("SMEMBERS", draining)) do
		drains[owner] = true
	end
	for i = 1, #all, 2 do
		if tonumber(all[i + 1]) > now or redis.call("HGET", held, all[i]) == "" then
			each(all[i], drains[all[i]] or false, all[i + 1])
		end
	end
end
`, idleGrace.Milliseconds())

// takersFunction is Lua that lists the workers that take jobs: live, and not draining.
var takersFunction = liveFunction + `
local function takers(workers, held, draining)
	local found = {}
	live(workers, held, draining, function(owner, drains)
		if not drains then
			table.insert(found, owner)
		end
	end)
	return found
end
`

// offersFunction is Lua that returns a hash of what workers have reported, by owner.
const offersFunction = `
local function by_owner(key)
	local stored, values = redis.call("HGETALL", key), {}
	for i = 1, #stored, 2 do
		values[stored[i]] = stored[i + 1]
	end
	return values
end
`

// heartbeatScript renews a worker's heartbeat and removes the workers whose heartbeat expired a while ago.
//
//	KEYS[1]  cellblock:workers
//	KEYS[2]  {cellblock:workers}:held
//	KEYS[3]  {cellblock:workers}:draining
//	KEYS[4]  {cellblock:workers}:limits
//	KEYS[5]  {cellblock:workers}:version
//	ARGV[1]  owner
//	ARGV[2]  TTL in milliseconds
//	ARGV[3]  ids of the jobs that it holds, separated by spaces
//	ARGV[4]  what it takes, as storedOffer, "" for a worker that reports nothing
//	ARGV[5]  milliseconds after which a worker whose heartbeat has expired is removed
//	ARGV[6]  1 if what it takes may have changed
//	returns  1
var heartbeatScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = redis.call("ZADD", KEYS[1], string.format("%.0f", now + ARGV[2]), ARGV[1]) == 1 or ARGV[6] == "1"
redis.call("HSET", KEYS[2], ARGV[1], ARGV[3])
if ARGV[4] ~= "" then
	redis.call("HSET", KEYS[4], ARGV[1], ARGV[4])
end
for _, gone in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now - ARGV[5]))) do
	redis.call("ZREM", KEYS[1], gone)
	redis.call("HDEL", KEYS[2], gone)
	redis.call("SREM", KEYS[3], gone)
	redis.call("HDEL", KEYS[4], gone)
	changed = true
end
if changed then
	redis.call("INCR", KEYS[5])
end
return 1`)

// idleHeartbeatScript renews the heartbeat of a worker that holds no job, as its last full heartbeat reported.
//
//	KEYS[1]  cellblock:workers
//	ARGV[1]  owner
//	ARGV[2]  TTL in milliseconds
//	returns  1, or 0 if the worker is not among the workers
var idleHeartbeatScript = redis.NewScript(`
local time = redis.call("TIME")
local expiry = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
return redis.call("ZADD", KEYS[1], "XX", "CH", expiry, ARGV[1])`)

// drainScript marks a worker as draining.
//
//	KEYS[1]  {cellblock:workers}:draining
//	KEYS[2]  {cellblock:workers}:version
//	ARGV[1]  owner
//	returns  1
var drainScript = redis.NewScript(`
if redis.call("SADD", KEYS[1], ARGV[1]) == 1 then
	redis.call("INCR", KEYS[2])
end
return 1`)

// countScript counts the live workers that are not draining.
//
//	KEYS[1]  cellblock:workers
//	KEYS[2]  {cellblock:workers}:held
//	KEYS[3]  {cellblock:workers}:draining
//	returns  the number
var countScript = redis.NewScript(takersFunction + `
return #takers(KEYS[1], KEYS[2], KEYS[3])`)

// aliveScript checks whether a worker is alive.
//
//	KEYS[1]  cellblock:workers
//	ARGV[1]  owner
//	returns  1 if it is alive, else 0
var aliveScript = redis.NewScript(`
local expiry = redis.call("ZSCORE", KEYS[1], ARGV[1])
local time = redis.call("TIME")
if expiry and tonumber(expiry) > time[1] * 1000 + math.floor(time[2] / 1000) then
	return 1
end
return 0`)

// Heartbeat records that a worker is alive for ttl from now, what jobs it takes, and the ids of the jobs that it holds.
func (s *Store) Heartbeat(
	ctx context.Context, owner string, ttl time.Duration, offer Offer, held ...string,
) error {
	encoded, err := encodeOffer(offer, ttl)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	keys := []string{workersKey, heldKey, drainingKey, offersKey, fleetVersionKey}
	err = heartbeatScript.Run(ctx, s.parts.Home(), keys, owner, ttl.Milliseconds(), strings.Join(held, " "), encoded,
		idleGrace.Milliseconds(), offer.Changed).Err()
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// IdleHeartbeat is Heartbeat for a worker that holds no job and reported so with its last one. It costs Redis half as
// much. It reports false, and does nothing, if Redis does not have the worker any more: then a Heartbeat is due.
func (s *Store) IdleHeartbeat(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
	known, err := idleHeartbeatScript.Run(ctx, s.parts.Home(), []string{workersKey}, owner, ttl.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("heartbeat: %w", err)
	}
	return known, nil
}

// MarkDraining records that a worker takes no more jobs. The worker stays alive until RemoveWorker.
func (s *Store) MarkDraining(ctx context.Context, owner string) error {
	if err := drainScript.Run(ctx, s.parts.Home(), []string{drainingKey, fleetVersionKey}, owner).Err(); err != nil {
		return fmt.Errorf("mark a worker as draining: %w", err)
	}
	return nil
}

// RemoveWorker removes a worker.
func (s *Store) RemoveWorker(ctx context.Context, owner string) error {
	err := errors.Join(
		s.parts.Home().ZRem(ctx, workersKey, owner).Err(),
		s.parts.Home().HDel(ctx, heldKey, owner).Err(),
		s.parts.Home().SRem(ctx, drainingKey, owner).Err(),
		s.parts.Home().HDel(ctx, offersKey, owner).Err(),
		s.parts.Home().Incr(ctx, fleetVersionKey).Err(),
	)
	if err != nil {
		return fmt.Errorf("remove a worker: %w", err)
	}
	return nil
}

// LiveWorkers counts the live workers that are not draining.
func (s *Store) LiveWorkers(ctx context.Context) (int, error) {
	n, err := countScript.Run(ctx, s.parts.Home(), []string{workersKey, heldKey, drainingKey}).Int()
	if err != nil {
		return 0, fmt.Errorf("count the workers: %w", err)
	}
	return n, nil
}

// WorkerAlive reports whether a worker's heartbeat has not expired.
func (s *Store) WorkerAlive(ctx context.Context, owner string) (bool, error) {
	alive, err := aliveScript.Run(ctx, s.parts.Home(), []string{workersKey}, owner).Bool()
	if err != nil {
		return false, fmt.Errorf("read a heartbeat: %w", err)
	}
	return alive, nil
}

// fleetScript lists what the live workers that are not draining take, unless nothing has changed. How many workers are
// alive is part of the state, since none of them counts the ends of others. That of workers which may still be alive is
// too, and is not what live finds only for a worker that comes back just as another one goes.
//
//	KEYS[1]  cellblock:workers
//	KEYS[2]  {cellblock:workers}:held
//	KEYS[3]  {cellblock:workers}:draining
//	KEYS[4]  {cellblock:workers}:limits
//	KEYS[5]  {cellblock:workers}:version
//	ARGV[1]  the state that is known, "" for none
//	returns  the state, and if that is not the known one, what each worker takes, as storedOffer, "" if it has
//	         registered nothing
var fleetScript = redis.NewScript(takersFunction + offersFunction + `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function count(since)
	return redis.call("ZCOUNT", KEYS[1], string.format("(%.0f", since), "+inf")
end
local state = (redis.call("GET", KEYS[5]) or "") .. " " .. count(now) .. " " .. count(now - idle_grace)
local fleet = {state}
if state ~= ARGV[1] then
	local offers = by_owner(KEYS[4])
	for _, owner in ipairs(takers(KEYS[1], KEYS[2], KEYS[3])) do
		table.insert(fleet, offers[owner] or "")
	end
end
return fleet`)

// Fleet returns what the live workers that are not draining take. It leaves out workers whose offer cannot be decoded.
func (s *Store) Fleet(ctx context.Context) (Fleet, error) {
	fleet, _, err := s.FleetUnless(ctx, "")
	return fleet, err
}

// FleetUnless is Fleet, but returns no workers if their state is a known one of an earlier call. A change that a worker
// of an earlier version makes after its start is not part of the state, which is never "".
func (s *Store) FleetUnless(ctx context.Context, known string) (_ Fleet, state string, err error) {
	keys := []string{workersKey, heldKey, drainingKey, offersKey, fleetVersionKey}
	reply, err := fleetScript.Run(ctx, s.parts.Home(), keys, known).StringSlice()
	if err != nil {
		return nil, known, fmt.Errorf("list the workers: %w", err)
	}
	state, stored := reply[0], reply[1:]
	fleet := make(Fleet, 0, len(stored))
	for _, text := range stored {
		if offer, err := decodeOffer(text); err == nil {
			fleet = append(fleet, offer)
		}
	}
	return fleet, state, nil
}
