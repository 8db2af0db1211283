package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// With Settings.UsageLabel, usage is also counted by the value that jobs have for one label. The value is in the record
// of a job from its acceptance, so the process that ends the job needs no setting; endScript appends it to the job's
// line. The sums by value are in a hash beside those of the tenant and day: a field for each value, with the names and
// numbers of that hash as NAME=NUMBER. The field "" has the sum of all further values.

const (
	// usageLabelsSuffix completes the key of a tenant's and day's sums to that of the sums by label.
	usageLabelsSuffix = ":labels"
	// usageValues bounds the values of a tenant and day, and so the hash to about 200 KB.
	usageValues = 1000
	// usageChunk is how many days of a tenant are read by label at once.
	usageChunk = 7
)

// usageLabelsFunction is Lua that adds sums by value, a table of tables, to the hash of a tenant and day, which is kept
// for a number of seconds after it was created. A hash that something else has damaged stays as it is.
const usageLabelsFunction = `
local function add_labels(key, values, most, seconds)
	local names = {}
	for value in pairs(values) do
		table.insert(names, value)
	end
	table.insert(names, "")
	local before = redis.pcall("HMGET", key, unpack(names))
	if before.err then
		return
	end
	local size = redis.call("HLEN", key)
	local created, other = size == 0, before[#names]
	local room = most - size + (other and 1 or 0)
	local function merge(stored, sum)
		for name, n in string.gmatch(stored or "", "(%S+)=(%d+)") do
			sum[name] = (sum[name] or 0) + tonumber(n)
		end
		return sum
	end
	local function encode(sum)
		local parts = {}
		for name, n in pairs(sum) do
			table.insert(parts, string.format("%s=%.0f", name, n))
		end
		return table.concat(parts, " ")
	end
	local fields = {}
	for i = 1, #names - 1 do
		local sum = values[names[i]]
		if before[i] or room > 0 then
			room = room - (before[i] and 0 or 1)
			table.insert(fields, names[i])
			table.insert(fields, encode(merge(before[i], sum)))
		else
			other = encode(merge(other, sum))
		end
	end
	if other then
		table.insert(fields, "")
		table.insert(fields, other)
	end
	redis.call("HSET", key, unpack(fields))
	if created then
		redis.call("EXPIRE", key, seconds)
	end
end
`

// usageByLabel returns the rows of one tenant, of as many days, at most `most` rows or a few more. A day has a row of
// the jobs without the label, if there are any, and one for each value, by value.
func (s *Store) usageByLabel(
	ctx context.Context, tenant jobs.Tenant, from time.Time, days, most int,
) (rows []jobs.DayUsage, err error) {
	for _, part := range s.parts.All() {
		more, err := partUsageByLabel(ctx, part, tenant, from, days, most)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	if s.parts.Len() > 1 {
		rows = merged(rows)
		slices.SortStableFunc(rows, compareUsage)
	}
	return rows, nil
}

// partUsageByLabel is usageByLabel of one part.
func partUsageByLabel(
	ctx context.Context, part redis.UniversalClient, tenant jobs.Tenant, from time.Time, days, most int,
) (rows []jobs.DayUsage, err error) {
	for first := 0; first < days && len(rows) <= most; first += usageChunk {
		pipeline := part.TxPipeline() // no count in between, or the two would not fit together
		var sums, labels []*redis.MapStringStringCmd
		for i := first; i < min(first+usageChunk, days); i++ {
			key := sumsKey(tenant, from.AddDate(0, 0, i))
			sums = append(sums, pipeline.HGetAll(ctx, key))
			labels = append(labels, pipeline.HGetAll(ctx, key+usageLabelsSuffix))
		}
		if _, err := pipeline.Exec(ctx); err != nil {
			return nil, err
		}
		for i, sum := range sums {
			if len(sum.Val()) > 0 {
				all := decodeUsage(tenant, from.AddDate(0, 0, first+i), sum.Val())
				rows = append(rows, splitUsage(all, labels[i].Val())...)
			}
		}
	}
	return rows, nil
}

// splitUsage splits the sum of a day into what has no label and the values of the hash of labels.
func splitUsage(all jobs.DayUsage, labels map[string]string) (rows []jobs.DayUsage) {
	for _, value := range slices.Sorted(maps.Keys(labels)) {
		fields := map[string]string{}
		for part := range strings.FieldsSeq(labels[value]) {
			name, n, _ := strings.Cut(part, "=")
			fields[name] = n
		}
		row := decodeUsage(all.Tenant, all.Day, fields)
		row.Label = &value
		all.Subtract(row)
		rows = append(rows, row)
	}
	if len(all.Jobs) > 0 {
		rows = slices.Insert(rows, 0, all)
	}
	return rows
}
