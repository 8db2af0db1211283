package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/flows"
)

// releaseEndedScript removes the jobs of tenants that do not run from those that count against their bound, and lets
// the tenants into the order again.
//
//	KEYS[1]  cellblock:{running}
//	ARGV     tenants
//	returns  how many jobs were removed
var releaseEndedScript = redis.NewScript(flows.Tokens + flows.Release + `
local removed = 0
for _, tenant in ipairs(ARGV) do
	local key, gone, left = KEYS[1] .. ":" .. tenant, 0, 0
	for _, id in ipairs(redis.call("SMEMBERS", key)) do
		local state = redis.call("HGET", "cellblock:{" .. id .. "}:job", "state")
		if state == "queued" or state == "running" then
			left = left + 1
		else
			gone = gone + 1
			redis.call("SREM", key, id)
		end
	end
	if gone > 0 or left == 0 then
		put_back(tenant)
	end
	if left == 0 then
		redis.call("SREM", KEYS[1], tenant)
	end
	removed = removed + gone
end
return removed`)

// releasedAtOnce is the number of tenants that one script looks at, so that other clients of Redis need not wait long.
const releasedAtOnce = 100

// ReleaseEnded removes jobs that have ended from those that count against their tenant's bound on running jobs, and
// returns how many these were. The script that ends a job does that too, but not that of an earlier version, nor is
// there one for a job whose record is lost.
func (s *Store) ReleaseEnded(ctx context.Context) (int, error) {
	tenants, err := s.only().SMembers(ctx, flows.RunningTenants).Result()
	if err != nil {
		return 0, fmt.Errorf("list the tenants with running jobs: %w", err)
	}
	removed := 0
	for some := range slices.Chunk(tenants, releasedAtOnce) {
		args := make([]any, len(some))
		for i, tenant := range some {
			args[i] = tenant
		}
		n, err := releaseEndedScript.Run(ctx, s.only(), []string{flows.RunningTenants}, args...).Int()
		if err != nil {
			return removed, fmt.Errorf("check the running jobs of tenants: %w", err)
		}
		removed += n
	}
	return removed, nil
}
