package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

const (
	// minutesPart is in the keys of the counts by minute, behind the tenant and before the hour (hours since 1970):
	// cellblock:{usage}:TENANT:minutes:HOUR is a hash of numbers of ended jobs. A field is a minute of the hour and an
	// outcome, such as "07 timeout".
	minutesPart = ":minutes:"
	// allTenants stands for all tenants in these keys. No tenant's name has an underscore.
	allTenants = "_all"
	// minutesKept is how many seconds such a hash is kept after a field was added.
	minutesKept = 2 * 60 * 60
)

// countMinutesFunction is Lua that adds the numbers of ended jobs to the counts of the current minute, given by tenant
// and outcome, which a space separates. It is for countUsageScript: to count at the end of each job would cost each a
// command.
const countMinutesFunction = `
local function count_minutes(prefix, kept, ended)
	local minutes = math.floor(redis.call("TIME")[1] / 60)
	local hour, minute, all = math.floor(minutes / 60), string.format("%02d ", minutes % 60), {}
	local function count(tenant, code, n)
		local key = prefix .. tenant .. "` + minutesPart + `" .. hour
		if redis.pcall("HINCRBY", key, minute .. code, n) == n then -- else it has been set in this minute
			redis.call("EXPIRE", key, kept)
		end
	end
	for name, n in pairs(ended) do
		local tenant, code = string.match(name, "^(%S+) (%S+)$")
		count(tenant, code, n)
		all[code] = (all[code] or 0) + n
	end
	for code, n in pairs(all) do
		count("` + allTenants + `", code, n)
	end
end
`

// activityScript reads how many jobs are open, and how many ended in the current hour and the one before.
//
//	KEYS[1]  cellblock:{index}:open
//	KEYS[2]  cellblock:{index}:open_by_tenant
//	ARGV[1]  start of the keys of the counts by minute, which the script completes by the hour
//	ARGV[2]  tenant of which alone the open jobs are counted; "" for all, and for the operator
//	returns  the time in microseconds since 1970; number of all open jobs; tenants and numbers of theirs; the counts
//	         of the hour before, and of the current one
var activityScript = redis.NewScript(`
local time = redis.call("TIME")
local hour, counts = math.floor(time[1] / 3600), nil
if ARGV[2] == "" then
	counts = redis.call("HGETALL", KEYS[2])
else
	counts = {ARGV[2], redis.call("HGET", KEYS[2], ARGV[2]) or "0"}
end
return {string.format("%.0f", time[1] * 1000000 + time[2]), redis.call("ZCARD", KEYS[1]), counts,
	redis.call("HGETALL", ARGV[1] .. string.format("%d", hour - 1)),
	redis.call("HGETALL", ARGV[1] .. string.format("%d", hour))}`)

// ActivityCounts is what counters know of an Activity.
type ActivityCounts struct {
	// At is Redis's time.
	At time.Time
	// Open counts the open jobs: those of the tenant, or all.
	Open int
	// Tenants are the tenants whose open jobs these are, those with the most first, as far as they have any.
	Tenants []jobs.Tenant
	Minutes []jobs.ActivityMinute
}

// Activity returns the counts of a tenant; "" is all tenants together.
func (s *Store) Activity(ctx context.Context, tenant jobs.Tenant) (ActivityCounts, error) {
	prefix := usagePrefix + cmp.Or(string(tenant), allTenants) + minutesPart
	counts, open, total := ActivityCounts{}, map[string]int64{}, int64(0)
	for _, part := range s.parts.All() {
		reply, err := activityScript.Run(ctx, part, []string{openKey, openByTenantKey}, prefix,
			encodeTenant(tenant)).Slice()
		if err != nil {
			return ActivityCounts{}, fmt.Errorf("read the activity: %w", err)
		}
		text, _ := reply[0].(string)
		n, _ := reply[1].(int64)
		total += n
		addAll(open, numbers(reply[2]))
		counts.addMinutes(parseTime(text), numbers(reply[3]), numbers(reply[4]))
	}
	if tenant == "" || tenant == jobs.Operator { // whose jobs are not counted apart
		open[string(jobs.Operator)] = total
		for name, n := range open {
			if name != string(jobs.Operator) {
				open[string(jobs.Operator)] -= max(0, n)
			}
		}
	}
	for name, n := range open {
		if n > 0 && (tenant == "" || name == string(tenant)) {
			counts.Tenants = append(counts.Tenants, jobs.Tenant(name))
		}
	}
	slices.SortFunc(counts.Tenants, func(a, b jobs.Tenant) int {
		return cmp.Or(cmp.Compare(open[string(b)], open[string(a)]), cmp.Compare(a, b))
	})
	if counts.Open = int(total); tenant != "" {
		counts.Open = int(max(0, open[string(tenant)]))
	}
	return counts, nil
}

// addMinutes adds the counts of a part, by its own clock: a minute may end there a moment sooner.
func (c *ActivityCounts) addMinutes(now time.Time, before, current map[string]int64) {
	minutes := minutesUntil(now, before, current)
	if c.Minutes == nil {
		c.At, c.Minutes = now, minutes
		return
	}
	for i, minute := range minutes {
		addAll(c.Minutes[i].Jobs, minute.Jobs)
	}
}

// minutesUntil returns the minutes until now, of the counts of the hour before and of the current one.
func minutesUntil(now time.Time, before, current map[string]int64) []jobs.ActivityMinute {
	minutes := make([]jobs.ActivityMinute, jobs.ActivityMinutes)
	last := now.Truncate(time.Minute)
	for i := range minutes {
		minutes[i] = jobs.ActivityMinute{
			At: last.Add(time.Duration(i+1-len(minutes)) * time.Minute), Jobs: map[string]int64{},
		}
	}
	add := func(hour time.Time, counts map[string]int64) {
		for field, n := range counts {
			text, outcome, valid := strings.Cut(field, " ")
			minute, err := strconv.ParseUint(text, 10, 8)
			i := len(minutes) - 1 - int(last.Sub(hour)/time.Minute) + int(minute)
			if valid && err == nil && minute < 60 && n > 0 && i >= 0 && i < len(minutes) {
				minutes[i].Jobs[outcome] = n
			}
		}
	}
	hour := now.Truncate(time.Hour)
	add(hour.Add(-time.Hour), before)
	add(hour, current)
	return minutes
}

// addAll adds numbers to those of the same names.
func addAll(to, numbers map[string]int64) {
	for name, n := range numbers {
		to[name] += n
	}
}

// numbers returns the numbers of a hash in the reply of a script, by field.
func numbers(reply any) map[string]int64 {
	all := map[string]int64{}
	for field, text := range pairs(reply) {
		all[field] = parseInt(text)
	}
	return all
}

// ofTenantScript counts those of some jobs that a tenant has and that have not ended.
//
//	ARGV[1]  tenant, "" for the operator
//	ARGV[…]  ids
//	returns  the number
var ofTenantScript = redis.NewScript(`
local n = 0
for i = 2, #ARGV do
	local job = redis.call("HMGET", "cellblock:{" .. ARGV[i] .. "}:job", "state", "tenant")
	if (job[1] == "queued" or job[1] == "running") and (job[2] or "") == ARGV[1] then
		n = n + 1
	end
end
return n`)

// CountOfTenant counts those of some jobs that a tenant has and that have not ended.
func (s *Store) CountOfTenant(ctx context.Context, ids []string, tenant jobs.Tenant) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	sum := 0
	for part, ids := range s.idsByPart(ids) {
		n, err := ofTenantScript.Run(ctx, part, nil, append([]any{encodeTenant(tenant)}, ids...)...).Int()
		if err != nil {
			return 0, fmt.Errorf("count the jobs of a tenant: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// WaitingSinceFunction is Lua that defines waiting_since(id), which returns when a job was created (microseconds since
// 1970), and nil unless it is queued.
const WaitingSinceFunction = `
local function waiting_since(id)
	local job = redis.call("HMGET", "cellblock:{" .. id .. "}:job", "state", "created_at")
	return job[1] == "queued" and tonumber(job[2]) or nil
end
`

// firstQueuedScript returns for how long the first of some jobs has waited that is queued and of a tenant.
//
//	ARGV[1]  tenant, "" for the operator, "_all" for any
//	ARGV[…]  ids
//	returns  the time in microseconds; nil if none is queued
var firstQueuedScript = redis.NewScript(`
for i = 2, #ARGV do
	local job = redis.call("HMGET", "cellblock:{" .. ARGV[i] .. "}:job", "state", "tenant", "created_at")
	if job[1] == "queued" and job[3] and (ARGV[1] == "` + allTenants + `" or (job[2] or "") == ARGV[1]) then
		local time = redis.call("TIME")
		return string.format("%.0f", time[1] * 1000000 + time[2] - job[3])
	end
end
return nil`)

// LongestWait returns for how long the oldest queued one of some jobs has waited that a tenant has; "" is any tenant.
// It is nil if none is queued. The ids are UUIDs of version 7: the smallest is the oldest job.
func (s *Store) LongestWait(ctx context.Context, ids []string, tenant jobs.Tenant) (*time.Duration, error) {
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // see the comment
	}
	var longest *time.Duration
	for part, ids := range s.idsByPart(slices.Sorted(slices.Values(ids))) {
		args := append([]any{encodeTenant(cmp.Or(tenant, allTenants))}, ids...)
		us, err := firstQueuedScript.Run(ctx, part, nil, args...).Int64()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return nil, fmt.Errorf("read the longest wait: %w", err)
		}
		wait := max(0, time.Duration(us)*time.Microsecond)
		if longest == nil || wait > *longest {
			longest = &wait
		}
	}
	return longest, nil
}
