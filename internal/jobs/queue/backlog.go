package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

const (
	// mostTaken bounds Backlog.TakenIDs, and mostPending the ids that are read of each list of asynq.
	mostTaken, mostPending = 1000, 50
	// mostLookups bounds the flows and sets of flows that one script reads.
	mostLookups = 500
	// mostChecks bounds the jobs in flows of which it reads whether they wait, and mostOfFlow those of one flow: the
	// first ones may have been cancelled. mostChecks is for several such flows.
	mostChecks, mostOfFlow = 1000, 500
)

// Backlog is what waits and what workers have.
type Backlog struct {
	// Taken counts the jobs that workers have taken and not finished. TakenIDs are at most mostTaken of them.
	Taken    int
	TakenIDs []string
	// Oldest are ids of jobs, of which the smallest of those that wait is the oldest. Some may have ended.
	Oldest []string
}

// backlogScript reads the Backlog of environments. What it reads is bounded, however many jobs wait. Of the flows, it
// begins with the one whose first job is the oldest, and goes on while another one can have an older job that waits. It
// follows Lua that defines waiting_since(id), as that of Waiting does.
//
//	KEYS     asynq:{queue}:active, asynq:{queue}:pending and asynq:{queue}:retry of queues
//	ARGV[1]  maximum number of the ids of taken jobs
//	ARGV[2]  and of those of each list of pending tasks, and set of those to retry
//	ARGV[3]  maximum number of flows and sets of flows
//	ARGV[4]  maximum number of jobs in flows of which it reads whether they wait
//	ARGV[5]  and of those of each flow
//	ARGV[6]  number of environments
//	ARGV[…]  environments, tenants
//	returns  number of taken jobs, their ids, ids of waiting jobs
const backlogScript = `
local taken, ids, waiting, firsts = 0, {}, {}, {}
local function extend(list, more, most)
	for _, id in ipairs(more) do
		if #list < most then
			table.insert(list, id)
		end
	end
end
local most_taken, most_pending, left = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for _, key in ipairs(KEYS) do
	if string.sub(key, -7) == ":active" then
		taken = taken + redis.call("LLEN", key)
		if #ids < most_taken then
			extend(ids, redis.call("LRANGE", key, 0, most_taken - #ids - 1), most_taken)
		end
	elseif string.sub(key, -8) == ":pending" then
		extend(waiting, redis.call("LRANGE", key, -most_pending, -1), 1e9)
	else
		extend(waiting, redis.call("ZRANGE", key, 0, most_pending - 1), 1e9)
	end
end
local environments = tonumber(ARGV[6])
local function look(flows)
	left = left - 1
	for _, flow in ipairs(redis.call("ZRANGE", flows, 0, left)) do
		if left <= 0 then
			return
		elseif string.sub(flow, 1, 1) ~= "=" then -- else the tenant's terms
			left = left - 1
			local key = flows .. ":" .. flow
			local id = redis.call("LINDEX", key, -1)
			if id then -- else the flow has emptied
				table.insert(firsts, {key = key, id = id})
			end
		end
	end
end
for t = 7 + environments, #ARGV do
	for e = 7, 6 + environments do
		if left > 0 then
			look("cellblock:{flows}:" .. ARGV[e] .. ":" .. ARGV[t])
		end
	end
end
local checks, chunk = tonumber(ARGV[4]), 50
local function first_waiting(first)
	if waiting_since(first.id) then
		return first.id
	end
	for at = 2, ARGV[5], chunk do
		local some = redis.call("LRANGE", first.key, 1 - at - chunk, -at)
		for i = #some, 1, -1 do
			checks = checks - 1
			if checks < 0 then
				return nil
			elseif waiting_since(some[i]) then
				return some[i]
			end
		end
	end
end
local oldest
table.sort(firsts, function(a, b) return a.id < b.id end)
for _, first in ipairs(firsts) do
	if oldest and first.id >= oldest then
		break
	end
	local id = first_waiting(first)
	oldest = id and (not oldest or id < oldest) and id or oldest
end
table.insert(waiting, oldest)
return {taken, ids, waiting}`

// Backlog returns what waits and what workers have of the default environment and of those named. Of the flows, it
// looks into those of the tenants, in that order, as far as the bounds go. taken is whether to return TakenIDs, and
// since is that of Waiting.
func (p *Producer) Backlog(
	ctx context.Context, environments []string, tenants []jobs.Tenant, taken bool, since string,
) (Backlog, error) {
	names := append([]string{jobs.DefaultEnvironment}, otherEnvironments(environments)...)
	var keys []string
	for _, environment := range names {
		queue := queueName(environment, defaultQueue)
		for _, old := range oldQueues(environment) {
			keys = append(keys, key(old, "active"))
		}
		keys = append(keys, key(queue, "active"), key(queue, "pending"), key(queue, "retry"))
	}
	ids := 0
	if taken {
		ids = mostTaken
	}
	args := []any{ids, mostPending, mostLookups, mostChecks, mostOfFlow, len(names)}
	for _, name := range names {
		args = append(args, name)
	}
	for _, tenant := range tenants {
		args = append(args, string(tenant))
	}
	var all Backlog
	for _, part := range p.parts.All() {
		reply, err := redis.NewScript(since+backlogScript).Run(ctx, part, keys, args...).Slice()
		if err != nil {
			return Backlog{}, fmt.Errorf("read what waits: %w", err)
		}
		n, _ := reply[0].(int64)
		all.Taken += int(n)
		all.TakenIDs, all.Oldest = append(all.TakenIDs, texts(reply[1])...), append(all.Oldest, texts(reply[2])...)
	}
	return all, nil
}

// texts returns the texts of a list in the reply of a script.
func texts(reply any) []string {
	values, _ := reply.([]any)
	all := make([]string, 0, len(values))
	for _, value := range values {
		if text, ok := value.(string); ok {
			all = append(all, text)
		}
	}
	return all
}
