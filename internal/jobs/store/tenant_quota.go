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
	n, err := s.client.HGet(ctx, openByTenantKey, string(tenant)).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("count the open jobs of a tenant: %w", err)
	}
	return max(0, n), nil
}

// forgetIdleScript removes the counts of tenants without open jobs.
//
//	KEYS[1]  cellblock:{index}:open_by_tenant
//	returns  how many it removed
var forgetIdleScript = redis.NewScript(`
local counts, removed = redis.call("HGETALL", KEYS[1]), 0
for i = 1, #counts, 2 do
	if tonumber(counts[i + 1]) <= 0 then
		removed = removed + redis.call("HDEL", KEYS[1], counts[i])
	end
end
return removed`)

// ForgetIdleTenants removes the counts of tenants that have no open jobs. The scripts that end jobs leave them at 0: to
// remove each would cost every job of a tenant that has one at a time a command.
func (s *Store) ForgetIdleTenants(ctx context.Context) error {
	if err := forgetIdleScript.Run(ctx, s.client, []string{openByTenantKey}).Err(); err != nil {
		return fmt.Errorf("forget tenants without open jobs: %w", err)
	}
	return nil
}

// CPUToday returns the processor time of a tenant's jobs that have ended since midnight (UTC).
func (s *Store) CPUToday(ctx context.Context, tenant jobs.Tenant) (time.Duration, error) {
	us, err := s.client.HGet(ctx, sumsKey(tenant, time.Now()), "cpu_us").Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("read the processor time of a tenant: %w", err)
	}
	return time.Duration(us) * time.Microsecond, nil
}
