// Package ratelimit counts the requests of tenants in Redis, for all replicas of the API together.
package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// takeTimeout bounds the wait for Redis. A request is served without its count.
const takeTimeout = 500 * time.Millisecond

// Limiter counts requests by the generic cell rate algorithm: a tenant gets its requests back one by one. It is safe
// for concurrent use.
type Limiter struct {
	limiter *redis_rate.Limiter
	logger  *slog.Logger
	// failing is set while requests are not counted.
	failing atomic.Bool
}

// New returns a limiter that uses client. The caller owns client.
func New(client redis.UniversalClient, logger *slog.Logger) *Limiter {
	return &Limiter{limiter: redis_rate.NewLimiter(client), logger: logger}
}

// key returns the key of a tenant's count; the library puts "rate:" before it. Each limit has a count of its own: the
// algorithm stores when the next request is due, by which a key with a low rate would lock out one with a high rate.
func key(tenant jobs.Tenant, limit redis_rate.Limit) string {
	return fmt.Sprintf("cellblock:%s:%d:%d", tenant, limit.Period.Microseconds(), limit.Burst)
}

// Take counts a request of a tenant with limits.RequestsPerSecond above 0, in one round trip: together with the others
// of the tenant that have the same limit. It returns an error if Redis does not answer; then the request is not
// counted.
func (l *Limiter) Take(
	ctx context.Context, tenant jobs.Tenant, limits jobs.TenantLimits,
) (jobs.RequestQuota, error) {
	bounded, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	interval := time.Duration(float64(time.Second) / limits.RequestsPerSecond)
	limit := redis_rate.Limit{Rate: 1, Period: max(interval, time.Microsecond), Burst: limits.BurstSize()}
	result, err := l.limiter.Allow(bounded, key(tenant, limit), limit)
	if failed := err != nil; ctx.Err() == nil && l.failing.Swap(failed) != failed {
		l.logger.Warn("counting of tenants' requests changed", "counts", !failed, "error", err)
	}
	if err != nil {
		return jobs.RequestQuota{}, fmt.Errorf("count a request of %s: %w", tenant, err)
	}
	quota := jobs.RequestQuota{Allowed: result.Allowed > 0, Left: result.Remaining, Next: limit.Period}
	if !quota.Allowed {
		quota.Next = result.RetryAfter
	}
	return quota, nil
}
