package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs/flows"
)

// releaseEndedScript removes the jobs of a tenant that do not run from those that count against its bound, and lets the
// tenant into the order again.
//
//	KEYS[1]  cellblock:{running}
//	KEYS[2]  cellblock:{running}:TENANT
//	ARGV[1]  tenant
//	returns  how many jobs were removed
var releaseEndedScript = redis.NewScript(flows.Tokens + flows.Release + `
local removed, left = 0, 0
for _, id in ipairs(redis.call("SMEMBERS", KEYS[2])) do
	local state = redis.call("HGET", "cellblock:{" .. id .. "}:job", "state")
	if state == "queued" or state == "running" then
		left = left + 1
	else
		removed = removed + 1
		redis.call("SREM", KEYS[2], id)
	end
end
if removed > 0 or left == 0 then
	put_back(ARGV[1])
end
if left == 0 then
	redis.call("SREM", KEYS[1], ARGV[1])
end
return removed`)

// ReleaseEnded removes jobs that have ended from those that count against their tenant's bound on running jobs, and
// returns how many these were. The script that ends a job does that too, but not that of an earlier version, nor is
// there one for a job whose record is lost.
func (s *Store) ReleaseEnded(ctx context.Context) (int, error) {
	tenants, err := s.client.SMembers(ctx, flows.RunningTenants).Result()
	if err != nil {
		return 0, fmt.Errorf("list the tenants with running jobs: %w", err)
	}
	removed := 0
	for _, tenant := range tenants {
		keys := []string{flows.RunningTenants, flows.RunningKey(tenant)}
		n, err := releaseEndedScript.Run(ctx, s.client, keys, tenant).Int()
		if err != nil {
			return removed, fmt.Errorf("check the running jobs of tenant %s: %w", tenant, err)
		}
		removed += n
	}
	return removed, nil
}
