package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// Usage is counted in two steps, so that the end of a job costs one command. The script that ends the job appends a
// line to a list, and the reaper adds the lines of many jobs to the sums of their tenants and days.

const (
	// usageKey is a list of lines, one for each job that has ended since the reaper last counted; see usageFunction.
	// It holds about 70 bytes for each. While no API that counts runs, it grows, up to maxUsageLines.
	usageKey = "cellblock:{index}:usage"
	// usagePrefix begins the keys of the sums, each a hash: cellblock:{usage}:TENANT:YYYY-MM-DD, with the fields
	// cpu_us and wall_us (microseconds), bytes_in, bytes_out, and jobs:CODE for each outcome (ok or a code).
	usagePrefix = "cellblock:{usage}:"
	// usageTenantsKey is a sorted set of the tenants with sums, scored by the last day of each (days since 1970). No
	// tenant's name has an underscore.
	usageTenantsKey = usagePrefix + "_tenants"

	// usageDays is how many days a sum is kept after its last change: one more than the longest range.
	usageDays = jobs.MaxUsageDays + 1
	// maxUsageLines bounds the list: while none but an API of an earlier version runs, which does not count, jobs end
	// without bound. The newest lines stay.
	maxUsageLines = 1_000_000
	// usageBatch is how many lines one script counts.
	usageBatch = 1000
)

// usageFunction is Lua that appends the line of an ended job: tenant, day of the end (days since 1970), bytes of the
// inputs, and what usageOf returns. A record of an earlier version has no bytes.
var usageFunction = `
local function count_usage(key, tenant, seconds, bytes_in, outcome)
	local lines = redis.call("RPUSH", key, string.format("%s %d %.0f %s", tenant or "` + string(jobs.Operator) + `",
		math.floor(seconds / 86400), tonumber(bytes_in or 0) or 0, outcome))
	if lines > ` + strconv.Itoa(maxUsageLines) + ` then
		redis.call("LTRIM", key, -` + strconv.Itoa(maxUsageLines) + `, -1)
	end
end
`

// usageOf returns the part of an ended job's line that its outcome decides: code, microseconds of CPU and of wall time,
// bytes of the result, output and files.
func usageOf(outcome jobs.Outcome) string {
	micros := func(ms float64) string { return strconv.FormatInt(max(0, int64(math.Round(ms*1000))), 10) }
	cpu := "0"
	if outcome.Usage.CPUMS != nil {
		cpu = micros(*outcome.Usage.CPUMS)
	}
	return strings.Join([]string{
		outcome.Code(), cpu, micros(outcome.Usage.RunMS), strconv.FormatInt(outcome.Size(), 10),
	}, " ")
}

// countUsageScript moves lines of ended jobs into the sums, and counts the jobs for the drain rate. It is one script,
// so that a line is counted once, wherever its caller dies. A sum that something else has damaged loses its numbers
// and keeps no other from being counted.
//
//	KEYS[1]  cellblock:{index}:usage
//	KEYS[2]  cellblock:{index}:ended
//	KEYS[3]  cellblock:{usage}:_tenants
//	ARGV[1]  maximum number of lines
//	ARGV[2]  how many days a sum is kept
//	ARGV[3]  start of the keys of the sums, which the script completes by tenant and day
//	ARGV[4]  end of the keys of the sums by label
//	ARGV[5]  maximum number of values of such a sum
//	ARGV[6]  how many seconds counts by minute are kept
//	returns  the number of lines, then tenant, outcome and number of jobs for each of these
var countUsageScript = redis.NewScript(dateFunction + usageLabelsFunction + countMinutesFunction + `
local lines = redis.call("LPOP", KEYS[1], ARGV[1])
if not lines then
	return {"0"}
end
local SUMS = {"cpu_us", "wall_us", "bytes_in", "bytes_out"}
local sums, labels, jobs, kept = {}, {}, {}, tonumber(ARGV[2])
local function add(to, name, n)
	to[name] = (to[name] or 0) + tonumber(n)
end
for _, line in ipairs(lines) do
	local tenant, day, bytes_in, code, cpu, wall, bytes_out, label =
		string.match(line, "^(%S+) (%d+) (%d+) (%S+) (%d+) (%d+) (%d+) ?(%S*)$")
	if tenant then
		local name = tenant .. " " .. day
		sums[name] = sums[name] or {}
		local into = {sums[name]}
		if label ~= "" then
			labels[name] = labels[name] or {}
			labels[name][label] = labels[name][label] or {}
			into[2] = labels[name][label]
		end
		for _, sum in ipairs(into) do
			for i, n in ipairs({cpu, wall, bytes_in, bytes_out}) do
				add(sum, SUMS[i], n)
			end
			add(sum, "jobs:" .. code, 1)
		end
		add(jobs, tenant .. " " .. code, 1)
	end
end
redis.call("INCRBY", KEYS[2], #lines)
for name, sum in pairs(sums) do
	local tenant, day = string.match(name, "^(%S+) (%d+)$")
	local key = ARGV[3] .. tenant .. ":" .. date(tonumber(day))
	local fields = {}
	for field in pairs(sum) do
		table.insert(fields, field)
	end
	local before = redis.pcall("HMGET", key, unpack(fields))
	if not before.err then
		local values = {}
		for i, field in ipairs(fields) do
			table.insert(values, field)
			table.insert(values, string.format("%.0f", (tonumber(before[i] or 0) or 0) + sum[field]))
		end
		-- Only the first count of a day finds no value of a field that all have.
		if redis.call("HSET", key, unpack(values)) >= #SUMS then
			redis.call("EXPIRE", key, kept * 86400)
			redis.call("ZADD", KEYS[3], "GT", day, tenant)
			redis.call("ZREMRANGEBYSCORE", KEYS[3], "-inf", day - kept)
		end
		if labels[name] then
			add_labels(key .. ARGV[4], labels[name], tonumber(ARGV[5]), kept * 86400)
		end
	end
end
count_minutes(ARGV[3], ARGV[6], jobs)
local answer = {tostring(#lines)}
for name, n in pairs(jobs) do
	local tenant, code = string.match(name, "^(%S+) (%S+)$")
	table.insert(answer, tenant)
	table.insert(answer, code)
	table.insert(answer, tostring(n))
end
return answer`)

// dateFunction is Lua that returns the date of a day, given as days since 1970, in the form YYYY-MM-DD: Redis has no
// os.date. Years begin in March here, so that the leap day is the last one (Howard Hinnant's civil_from_days).
const dateFunction = `
local function date(days)
	local floor = math.floor
	local shifted = days + 719468
	local era = floor(shifted / 146097)
	local day = shifted - era * 146097
	local year = floor((day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
	day = day - (365 * year + floor(year / 4) - floor(year / 100))
	local month = floor((5 * day + 2) / 153)
	day = day - floor((153 * month + 2) / 5) + 1
	year, month = year + era * 400, month + 3
	if month > 12 then
		year, month = year + 1, month - 12
	end
	return string.format("%04d-%02d-%02d", year, month, day)
end
`

// EndedCount is a number of jobs that have ended, of one tenant and with one outcome: jobs.OutcomeOK or a code.
type EndedCount struct {
	Tenant  jobs.Tenant
	Outcome string
	Jobs    int
}

// CountUsage adds the jobs that have ended since the last call to the sums of usage, and returns how many these were by
// tenant and outcome. It returns after at most calls scripts, each of which counts a thousand jobs.
func (s *Store) CountUsage(ctx context.Context, calls int) ([]EndedCount, error) {
	waiting, err := s.only().LLen(ctx, usageKey).Result()
	var counts []EndedCount
	for err == nil && waiting > 0 && calls > 0 {
		var reply []string
		reply, err = countUsageScript.Run(ctx, s.only(), []string{usageKey, endedKey, usageTenantsKey},
			usageBatch, usageDays, usagePrefix, usageLabelsSuffix, usageValues, minutesKept).StringSlice()
		if err != nil {
			break
		}
		for i := 1; i+2 < len(reply); i += 3 {
			counts = append(counts, EndedCount{
				Tenant: jobs.Tenant(reply[i]), Outcome: reply[i+1], Jobs: int(parseInt(reply[i+2])),
			})
		}
		waiting, calls = waiting-usageBatch, calls-1
	}
	if err != nil {
		return counts, fmt.Errorf("count the usage: %w", err)
	}
	return counts, nil
}

// Usage returns the usage that the query selects. What ended in the last second or two may be missing. It returns a
// *jobs.Error with CodeInvalidRequest for a range that is too long, or has too many tenants, days and labels, and for
// usage by label without Settings.UsageLabel.
func (s *Store) Usage(ctx context.Context, query jobs.UsageQuery) (jobs.UsageReport, error) {
	report := jobs.UsageReport{From: query.From, To: query.To}
	if query.ByLabel && s.settings.UsageLabel == "" {
		return report, jobs.Errorf(jobs.CodeInvalidRequest,
			`usage is not counted by label; set USAGE_LABEL of the API to the key of a label, such as customer`)
	}
	if report.To.IsZero() {
		now, err := s.parts.Home().Time(ctx).Result()
		if err != nil {
			return report, fmt.Errorf("read the usage: %w", err)
		}
		report.To = now.UTC().Truncate(day)
	}
	if report.From.IsZero() {
		report.From = report.To.AddDate(0, 0, -6)
	}
	days := int(report.To.Sub(report.From)/day) + 1
	if days < 1 || days > jobs.MaxUsageDays {
		return report, jobs.Errorf(jobs.CodeInvalidRequest,
			`"from" must be before "to", or the same day, and both at most %d days apart`, jobs.MaxUsageDays-1)
	}
	tenants, err := s.usageTenants(ctx, query.Tenant, report.From)
	if err != nil {
		return report, fmt.Errorf("read the usage: %w", err)
	}
	if len(tenants)*days > jobs.MaxUsageRows {
		return report, jobs.Errorf(jobs.CodeInvalidRequest,
			"%d tenants have usage in these %d days; ask for fewer days, or for one tenant", len(tenants), days)
	}
	report.Days, err = s.usageOfAll(ctx, tenants, report.From, days, query.ByLabel)
	return report, err
}

// usageOfAll returns the rows of the tenants, of as many days. Only by label can these be too many.
func (s *Store) usageOfAll(
	ctx context.Context, tenants []jobs.Tenant, from time.Time, days int, byLabel bool,
) (all []jobs.DayUsage, err error) {
	for _, tenant := range tenants {
		var rows []jobs.DayUsage
		if byLabel {
			rows, err = s.usageByLabel(ctx, tenant, from, days, jobs.MaxUsageRows-len(all))
		} else {
			rows, err = s.tenantUsage(ctx, tenant, from, days)
		}
		if err != nil {
			return nil, fmt.Errorf("read the usage: %w", err)
		}
		if all = append(all, rows...); len(all) > jobs.MaxUsageRows {
			return nil, jobs.Errorf(jobs.CodeInvalidRequest,
				"these days have more than %d rows; ask for fewer days, or for one tenant", jobs.MaxUsageRows)
		}
	}
	return all, nil
}

const day = 24 * time.Hour

// usageTenants returns the tenant, or all that have sums of that day or later, by name.
func (s *Store) usageTenants(ctx context.Context, tenant jobs.Tenant, from time.Time) ([]jobs.Tenant, error) {
	if tenant != "" {
		return []jobs.Tenant{tenant}, nil
	}
	least := strconv.FormatInt(from.Unix()/int64(day/time.Second), 10)
	var all []string
	for _, part := range s.parts.All() {
		names, err := part.ZRangeByScore(ctx, usageTenantsKey, &redis.ZRangeBy{Min: least, Max: "+inf"}).Result()
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	return sortedTenants(all), nil
}

func sortedTenants(names []string) []jobs.Tenant {
	tenants := make([]jobs.Tenant, len(names))
	for i, name := range names {
		tenants[i] = jobs.Tenant(name)
	}
	slices.Sort(tenants)
	return slices.Compact(tenants)
}

// sumsKey returns the key of what a tenant used on a day (UTC).
func sumsKey(tenant jobs.Tenant, on time.Time) string {
	return usagePrefix + string(tenant) + ":" + on.UTC().Format(jobs.DayFormat)
}

// tenantUsage returns the rows of one tenant, of as many days.
func (s *Store) tenantUsage(
	ctx context.Context, tenant jobs.Tenant, from time.Time, days int,
) (rows []jobs.DayUsage, err error) {
	all, parts := pipelines{}, s.parts.All()
	sums := make([]*redis.MapStringStringCmd, 0, days*len(parts))
	for i := range days {
		for _, part := range parts {
			sums = append(sums, all.of(part).HGetAll(ctx, sumsKey(tenant, from.AddDate(0, 0, i))))
		}
	}
	if err := all.exec(ctx); err != nil {
		return nil, err
	}
	for i, sum := range sums {
		if len(sum.Val()) > 0 {
			rows = append(rows, decodeUsage(tenant, from.AddDate(0, 0, i/len(parts)), sum.Val()))
		}
	}
	return merged(rows), nil
}

// decodeUsage decodes the hash of a tenant and day.
func decodeUsage(tenant jobs.Tenant, on time.Time, fields map[string]string) jobs.DayUsage {
	row := jobs.DayUsage{
		Tenant: tenant, Day: on, Jobs: map[string]int64{},
		CPU:     time.Duration(parseInt(fields["cpu_us"])) * time.Microsecond,
		Wall:    time.Duration(parseInt(fields["wall_us"])) * time.Microsecond,
		BytesIn: parseInt(fields["bytes_in"]), BytesOut: parseInt(fields["bytes_out"]),
	}
	for name, n := range fields {
		if outcome, found := strings.CutPrefix(name, "jobs:"); found {
			row.Jobs[outcome] = parseInt(n)
		}
	}
	return row
}
