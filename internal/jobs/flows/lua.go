package flows

// Tokens is Lua that pushes n tokens into a list. To cut the list for each token would cost a command for each.
const Tokens = `
local max_tokens = ` + maxTokens + `
local function push_tokens(list, n)
	for i = 1, n do
		if redis.call("LPUSH", list, "") >= 2 * max_tokens then
			redis.call("LTRIM", list, 0, max_tokens - 1)
		end
	end
	if string.find(list, "` + environmentPrefix + `", 1, true) then
		redis.call("EXPIRE", list, ` + tokensTTL + `)
	end
end
local function wake_list(environment)
	return environment == "default" and "` + wakeKey + `" or "` + wakeSlot + environmentPrefix + `" .. environment
end
local function spill_list(environment)
	return (environment == "default" and "` + wakeSlot + `" or wake_list(environment)) .. ":spill"
end
`

// Release is Lua that counts a job as running no more, and lets its tenant into the order again. It needs Tokens.
//
// A tenant that was at its bound joins at the virtual time: while it had all that it may have, it was not owed more. A
// score from before would be one of an order that may have ended since.
const Release = `
local function put_back(tenant)
	local key = "` + RunningTenants + `:" .. tenant .. ":held"
	local held = redis.call("SMEMBERS", key)
	for _, env in ipairs(held) do
		local tenants = "cellblock:{flows}:" .. env
		local first = redis.call("ZRANGE", tenants, 0, 0, "WITHSCORES")
		redis.call("ZADD", tenants, "NX", first[2] or "0", tenant)
		push_tokens(wake_list(env), 1)
	end
	if #held > 0 then
		redis.call("DEL", key)
	end
end
local function release(tenant, id)
	if redis.call("SREM", "` + RunningTenants + `:" .. tenant, id) == 1 then
		put_back(tenant)
	end
end
`

// Enter is Lua that lets jobs wait their turn. It needs Tokens.
//
//	flow_of(batch, priority)         the name of a flow; batch is "" or false for a single job
//	terms_of(weight, max_running)    the terms of a tenant, "" for the default ones
//	parse_terms(terms)               weight and bound on running jobs (0 for none)
//	set_terms(flows, known, terms)   replaces the terms of a tenant's sorted set of flows
//	open_flow(env, tenant, flow, terms)
//	                                 puts a flow and its tenant into the order, unless they are
//	enter(env, tenant, flow, terms, id, first)
//	                                 adds a job to its flow, as the first one if first is true, with a token
//	wait_turn(env, tenant, flow, terms, id, pending)
//	                                 adds a new job, to asynq's list of pending tasks if nothing waits
//	leave(env, tenant, flow, id)     removes a job from its flow, and a flow without jobs from the order
//	reopen(env, tenant, flow, terms) is open_flow for a flow with jobs; returns 1 if it was missing in the order
const Enter = `
local function flow_of(batch, priority)
	return batch and batch ~= "" and "b:" .. batch or priority or "default"
end
local function terms_of(weight, max_running)
	weight, max_running = tonumber(weight) or 1, tonumber(max_running) or 0
	if weight <= 1 and max_running <= 0 then
		return ""
	end
	return string.format("=%d %d", weight, max_running)
end
local function parse_terms(terms)
	local weight, max_running = string.match(terms, "^=(%d+) (%d+)$")
	return tonumber(weight) or 1, tonumber(max_running) or 0
end
-- The virtual time is the lowest score. Numbers stay texts: Lua would round them.
local function join(order, member)
	local first, now = redis.call("ZRANGE", order, 0, 1, "WITHSCORES"), "0"
	for i = #first, 2, -2 do
		now = string.sub(first[i - 1], 1, 1) ~= "=" and first[i] or now
	end
	redis.call("ZADD", order, "NX", now, member)
	return first[1] or ""
end
local function set_terms(flows, known, terms)
	if known == terms then
		return
	end
	if known ~= "" then
		redis.call("ZREM", flows, known)
	end
	if terms ~= "" then
		redis.call("ZADD", flows, "-inf", terms)
	end
end
local function open_flow(env, tenant, flow, terms)
	local tenants = "cellblock:{flows}:" .. env
	local flows = tenants .. ":" .. tenant
	local known = join(flows, flow)
	set_terms(flows, string.sub(known, 1, 1) == "=" and known or "", terms)
	join(tenants, tenant)
end
local function enter(env, tenant, flow, terms, id, first)
	local list = "cellblock:{flows}:" .. env .. ":" .. tenant .. ":" .. flow
	local waiting = redis.call(first and "RPUSHX" or "LPUSHX", list, id)
	if waiting == 0 then
		redis.call("LPUSH", list, id)
		open_flow(env, tenant, flow, terms)
		push_tokens(wake_list(env), 1)
	elseif waiting <= max_tokens then -- else those before it have pushed as many tokens as there can be workers
		push_tokens(spill_list(env), 1)
	end
end
local function wait_turn(env, tenant, flow, terms, id, pending)
	local _, max_running = parse_terms(terms)
	if max_running == 0 and redis.call("EXISTS", "cellblock:{flows}:" .. env) == 0 then
		if redis.call("LPUSH", pending, id) <= 2 then
			push_tokens(wake_list(env), 1)
			return
		end
		redis.call("LPOP", pending)
	end
	enter(env, tenant, flow, terms, id)
end
local function leave(env, tenant, flow, id)
	local tenants = "cellblock:{flows}:" .. env
	local flows = tenants .. ":" .. tenant
	local list = flows .. ":" .. flow
	-- Those that leave are mostly among the newest, or the oldest.
	local side = redis.call("LPOS", list, id, "MAXLEN", 1000) and 1 or -1
	if redis.call("LREM", list, side, id) == 0 or redis.call("EXISTS", list) == 1 then
		return
	end
	redis.call("ZREM", flows, flow)
	local first = redis.call("ZRANGE", flows, 0, 1)
	if not first[1] or #first == 1 and string.sub(first[1], 1, 1) == "=" then
		redis.call("DEL", flows)
		redis.call("ZREM", tenants, tenant)
	end
end
local function reopen(env, tenant, flow, terms)
	local tenants = "cellblock:{flows}:" .. env
	local flows = tenants .. ":" .. tenant
	if redis.call("EXISTS", flows .. ":" .. flow) == 0 or redis.call("ZSCORE", flows, flow)
			and (redis.call("ZSCORE", tenants, tenant)
				or redis.call("SISMEMBER", "` + RunningTenants + `:" .. tenant .. ":held", env) == 1) then
		return 0
	end
	open_flow(env, tenant, flow, terms)
	push_tokens(wake_list(env), 1)
	return 1
end
`

// Choose is Lua that takes the next job of an environment. It needs Enter.
//
//	choose(env, active, barred, no_batches, offset, limit)
//
// moves the id of the next job to the list active and returns the id, its tenant, its flow and the tenant's terms. It
// passes over the tenants in the set barred, and over batches if no_batches is true. Without a job it
// returns nil, whether it has passed over any, and if it has looked at limit tenants or flows, the offset in the order
// at which to go on.
//
//	fits(env, active, id, tenant, flow, terms, owner)
//
// reports whether a job that choose returned may run, by its own terms: a tenant's are those of its job that was chosen
// last, or that opened a flow since. If not, the job waits again, and its tenant is out of the order.
//
// What is in the order without jobs is removed once the order reaches it. If something before it was passed over, that
// is moved on to its score first: so no tenant returns with a lower score than the lowest one. Tenants that were passed
// over are moved on to the virtual time too: they had all of this worker that they may have, and would otherwise be
// owed ever more.
const Choose = `
local flow_weights = {high = 6, default = 3, low = 1}
local function flows_in_turn(key, no_batches)
	local first, terms = redis.call("ZRANGE", key, 0, no_batches and 0 or 2), ""
	if first[1] and string.sub(first[1], 1, 1) == "=" then
		terms = table.remove(first, 1)
	end
	if not no_batches then
		return first, terms
	end
	local flows, scores = {}, {}
	for i, score in ipairs(redis.call("ZMSCORE", key, "high", "default", "low")) do
		if score then
			local flow = ({"high", "default", "low"})[i]
			scores[flow] = score
			table.insert(flows, flow)
		end
	end
	table.sort(flows, function(a, b) return tonumber(scores[a]) < tonumber(scores[b]) end)
	return flows, terms, scores
end
-- Moves flows that were passed over on to the score of the one that was not: they are not owed what it had meanwhile.
local function move_on(key, score, limit)
	local passed, members = redis.call("ZRANGEBYSCORE", key, 0, "(" .. score, "LIMIT", 0, limit), {}
	for _, flow in ipairs(passed) do
		if string.sub(flow, 1, 2) == "b:" then
			table.insert(members, score)
			table.insert(members, flow)
		end
	end
	if members[1] then
		redis.call("ZADD", key, "XX", unpack(members))
	end
end
local function choose_flow(tenants, tenant, active, no_batches, limit)
	local key = tenants .. ":" .. tenant
	for _ = 1, limit do
		local flows, terms, scores = flows_in_turn(key, no_batches)
		local weight, max_running = parse_terms(terms)
		if max_running > 0 and redis.call("SCARD", "` + RunningTenants + `:" .. tenant) >= max_running then
			return nil, "at bound"
		end
		for _, flow in ipairs(flows) do
			local id = redis.call("RPOPLPUSH", key .. ":" .. flow, active)
			if id then
				if no_batches then
					move_on(key, scores[flow], limit)
				end
				if no_batches or #flows > 1 then
					redis.call("ZINCRBY", key, 1 / (flow_weights[flow] or 1), flow)
				end
				return id, flow, weight, terms
			end
			if not no_batches then
				redis.call("ZREM", key, flow)
				break
			end
		end
		if no_batches then
			return nil, redis.call("EXISTS", key) == 1 and "batches" or "empty"
		elseif #flows <= 1 then
			redis.call("DEL", key)
			return nil, "empty"
		end
	end
	return nil, "more"
end
local function hold(env, tenant)
	redis.call("ZREM", "cellblock:{flows}:" .. env, tenant)
	redis.call("SADD", "` + RunningTenants + `:" .. tenant .. ":held", env)
end
local function fits(env, active, id, tenant, flow, terms, owner)
	if not owner or not owner.queued or owner.terms == terms then
		return true
	end
	local flows = "cellblock:{flows}:" .. env .. ":" .. tenant
	set_terms(flows, terms, owner.terms)
	if owner.max_running == 0 or redis.call("SCARD", "` + RunningTenants + `:" .. tenant) < owner.max_running then
		return true
	end
	redis.call("LREM", active, 1, id)
	redis.call("RPUSH", flows .. ":" .. flow, id)
	hold(env, tenant)
	return false
end
-- Moves tenants that were passed over on to a score, and removes those found empty below or at it.
local function pass(tenants, score, passed, emptied)
	for _, other in ipairs(passed) do
		redis.call("ZADD", tenants, "XX", "GT", score, other)
	end
	if #emptied > 0 then
		redis.call("ZREM", tenants, unpack(emptied))
	end
end
local function choose(env, active, barred, no_batches, offset, limit)
	local tenants, begun, left = "cellblock:{flows}:" .. env, offset, false
	local passed, emptied, highest = {}, {}, nil
	for _ = 1, limit do
		local found = redis.call("ZRANGE", tenants, offset, offset + 1, "WITHSCORES")
		local tenant, score = found[1], found[2]
		if not tenant then
			if begun == 0 and highest then
				pass(tenants, highest, passed, emptied)
			end
			return nil, left
		end
		local id, flow, weight, terms = nil, "barred", nil, nil
		if not barred[tenant] then
			id, flow, weight, terms = choose_flow(tenants, tenant, active, no_batches, limit)
		end
		if id then
			if offset > 0 or #found > 2 then
				redis.call("ZINCRBY", tenants, 1 / weight, tenant)
			end
			pass(tenants, score, passed, begun == 0 and emptied or {})
			return id, tenant, flow, terms
		elseif flow == "more" then
			return nil, left, offset
		elseif flow == "at bound" then
			hold(env, tenant)
		elseif flow == "empty" and offset == 0 then
			redis.call("ZREM", tenants, tenant)
		else
			offset = offset + 1
			if flow == "empty" then
				table.insert(emptied, tenant)
				highest = score
			else
				left = true
				table.insert(passed, tenant)
			end
		end
	end
	if begun == 0 and #emptied > #passed then -- then to begin anew is worth it
		pass(tenants, highest, passed, emptied)
		offset = 0
	end
	return nil, left, offset
end
`
