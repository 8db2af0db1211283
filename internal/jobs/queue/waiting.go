package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/flows"
)

const (
	// mostListed is the most ids that are read of asynq's list of pending tasks, and of its tasks to retry.
	mostListed = 50
	// mostCounted bounds the flows of one environment that are counted, and mostSeen the jobs of which it is read
	// whether they wait: the first ones of a flow may have been cancelled.
	mostCounted, mostSeen = 1000, 500
)

// Waiting is what waits in one environment.
type Waiting struct {
	// Jobs counts the ids that a worker can take. Some of them may have ended. It is too low if IsPartial.
	Jobs int
	// IsPartial reports that there are more flows than are counted.
	IsPartial bool
	// Held counts the jobs of tenants that have as many running as they may.
	Held int
	// Oldest is for how long the oldest of Jobs that has not ended has waited; 0 without one.
	Oldest time.Duration
}

// waitingScript reads what waits in an environment. What it reads is bounded, however many jobs wait. It follows Lua
// that defines waiting_since(id).
//
//	KEYS[1]  asynq:{queue}:pending
//	KEYS[2]  asynq:{queue}:retry
//	KEYS[3]  cellblock:{flows}:ENV
//	KEYS[4]  cellblock:{running}
//	ARGV[1]  environment
//	ARGV[2]  maximum number of the ids of pending tasks, and of those to retry
//	ARGV[3]  maximum number of flows, and of flows of held tenants
//	ARGV[4]  maximum number of jobs of which it reads whether they wait
//	returns  numbers of jobs that wait and that are held; 1 if there are more flows; age of the oldest waiting job in
//	         microseconds
const waitingScript = `
local most, left, checks = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lists = {}
local function count(tenant, list_it)
	local n, flows = 0, KEYS[3] .. ":" .. tenant
	for _, flow in ipairs(redis.call("ZRANGE", flows, 0, left)) do
		if string.sub(flow, 1, 1) ~= "=" then -- else the tenant's terms
			left = left - 1
			if left < 0 then
				break
			end
			local list = flows .. ":" .. flow
			local waiting = redis.call("LLEN", list)
			if waiting > 0 and list_it then
				table.insert(lists, {key = list, first = redis.call("LINDEX", list, -1)})
			end
			n = n + waiting
		end
	end
	return n
end
local waiting = redis.call("LLEN", KEYS[1]) + redis.call("ZCARD", KEYS[2])
for _, tenant in ipairs(redis.call("ZRANGE", KEYS[3], 0, left)) do
	waiting = waiting + count(tenant, true)
end
local partial, held = left < 0 and 1 or 0, 0
left = tonumber(ARGV[3])
for _, tenant in ipairs(redis.call("SSCAN", KEYS[4], 0, "COUNT", left)[2]) do
	if left > 0 and redis.call("SISMEMBER", KEYS[4] .. ":" .. tenant .. ":held", ARGV[1]) == 1 then
		held = held + count(tenant, false)
	end
end

local oldest, since
local function check(id)
	checks = checks - 1
	local at = (not oldest or id < oldest) and checks >= 0 and waiting_since(id)
	if at then
		oldest, since = id, at
	end
	return at
end
for _, id in ipairs(redis.call("LRANGE", KEYS[1], -most, -1)) do
	check(id)
end
for _, id in ipairs(redis.call("ZRANGE", KEYS[2], 0, most - 1)) do
	check(id)
end
table.sort(lists, function(a, b) return a.first < b.first end)
for _, list in ipairs(lists) do
	if checks <= 0 or oldest and list.first >= oldest then
		break
	end
	local found = check(list.first)
	for at = 2, checks, most do
		if found then
			break
		end
		local some = redis.call("LRANGE", list.key, 1 - at - most, -at)
		for i = #some, 1, -1 do
			found = found or oldest and some[i] >= oldest or check(some[i])
		end
		found = found or #some < most
	end
end
local time = redis.call("TIME")
return {waiting, held, partial, since and string.format("%.0f", time[1] * 1000000 + time[2] - since) or "0"}`

// Waiting reads what waits in an environment. since is Lua that defines waiting_since(id), which
// returns when a job was created (microseconds since 1970), and nil unless it is queued.
func (p *Producer) Waiting(ctx context.Context, environment, since string) (Waiting, error) {
	queue := queueName(environment, defaultQueue)
	keys := []string{
		key(queue, "pending"), key(queue, "retry"), flows.TenantsKey(environment), flows.RunningTenants,
	}
	script, sum := redis.NewScript(since+waitingScript), Waiting{}
	for _, part := range p.parts.All() {
		reply, err := script.Run(ctx, part, keys, environment, mostListed, mostCounted, mostSeen).Int64Slice()
		if err != nil {
			return Waiting{}, fmt.Errorf("read what waits in %s: %w", environment, err)
		}
		sum.Jobs += int(reply[0])
		sum.Held += int(reply[1])
		sum.IsPartial = sum.IsPartial || reply[2] == 1
		sum.Oldest = max(sum.Oldest, time.Duration(reply[3])*time.Microsecond)
	}
	return sum, nil
}
