package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// TenantOpen counts the open jobs of a tenant other than the operator.
func (s *Store) TenantOpen(ctx context.Context, tenant jobs.Tenant) (int, error) {
	sum := 0
	for _, part := range s.parts.All() {
		n, err := part.HGet(ctx, openByTenantKey, string(tenant)).Int()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, fmt.Errorf("count the open jobs of a tenant: %w", err)
		}
		sum += max(0, n)
	}
	return sum, nil
}

// recountScript makes the counts of tenants' open jobs those of the open jobs, and removes those of tenants without.
//
//	KEYS[1]  cellblock:{index}:open_by_tenant
//	KEYS[2]  cellblock:{index}:open
//	ARGV[1]  how many open jobs it looks at, at most; if there are more, it only removes the counts of 0
//	ARGV[2]  how many it reads at a time
//	returns  how many counts it changed or removed
var recountScript = redis.NewScript(memberFunctions + `
local counts, changed = redis.call("HGETALL", KEYS[1]), 0
if #counts == 0 then
	return 0
end
local open, step, found = redis.call("ZCARD", KEYS[2]), tonumber(ARGV[2]), nil
if open <= tonumber(ARGV[1]) then
	found = {}
	for first = 0, open - 1, step do
		for _, member in ipairs(redis.call("ZRANGE", KEYS[2], first, first + step - 1)) do
			local tenant = tenant_of(member)
			if tenant then
				found[tenant] = (found[tenant] or 0) + 1
			end
		end
	end
end
for i = 1, #counts, 2 do
	local tenant, count = counts[i], tonumber(counts[i + 1])
	local is = not found and count or found[tenant] or 0
	if is <= 0 then
		changed = changed + redis.call("HDEL", KEYS[1], tenant)
	elseif is ~= count then
		redis.call("HSET", KEYS[1], tenant, is)
		changed = changed + 1
	end
end
return changed`)

const (
	// mostRecounted bounds the open jobs that are counted in one script, during which no other client of Redis gets an
	// answer, and recountedAtOnce how many of them are in Lua's memory.
	mostRecounted, recountedAtOnce = 200_000, 1000
)

// RecountTenants makes TenantOpen right for each tenant, whatever has removed an open job without counting it: a
// replica of an earlier version, or a person. It also removes the counts of tenants that have none. The scripts that
// end jobs leave them at 0: to remove each would cost every job of a tenant that has one at a time a command.
func (s *Store) RecountTenants(ctx context.Context) error {
	keys := []string{openByTenantKey, openKey}
	if err := recountScript.Run(ctx, s.only(), keys, mostRecounted, recountedAtOnce).Err(); err != nil {
		return fmt.Errorf("count the open jobs of tenants: %w", err)
	}
	return nil
}

// CPUToday returns the processor time of a tenant's jobs that have ended since midnight (UTC).
func (s *Store) CPUToday(ctx context.Context, tenant jobs.Tenant) (time.Duration, error) {
	all, key := pipelines{}, sumsKey(tenant, time.Now())
	var used []*redis.StringCmd
	for _, part := range s.parts.All() {
		used = append(used, all.of(part).HGet(ctx, key, "cpu_us"))
	}
	if err := all.exec(ctx); err != nil {
		return 0, fmt.Errorf("read the processor time of a tenant: %w", err)
	}
	sum := time.Duration(0)
	for _, cmd := range used {
		us, err := cmd.Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, fmt.Errorf("read the processor time of a tenant: %w", err)
		}
		sum += time.Duration(us) * time.Microsecond
	}
	return sum, nil
}
