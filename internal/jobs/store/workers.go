package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// workersKey is a sorted set of the workers, scored by when each one's sign of
// life runs out (milliseconds since 1970, Redis's clock).
const workersKey = "cellblock:workers"

// heartbeatScript renews a worker's sign of life and drops those run out.
//
//	KEYS[1]  the workers
//	ARGV     owner, TTL in milliseconds
var heartbeatScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("ZADD", KEYS[1], string.format("%.0f", now + ARGV[2]), ARGV[1])
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now))
return 1`)

// countScript counts the workers that live.
//
//	KEYS[1]  the workers
var countScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call("ZCOUNT", KEYS[1], string.format("(%.0f", now), "+inf")`)

// aliveScript looks for one of them.
//
//	KEYS[1]  the workers
//	ARGV     owner
//	returns  1 if it lives, else 0
var aliveScript = redis.NewScript(`
local expiry = redis.call("ZSCORE", KEYS[1], ARGV[1])
local time = redis.call("TIME")
if expiry and tonumber(expiry) > time[1] * 1000 + math.floor(time[2] / 1000) then
	return 1
end
return 0`)

// Heartbeat says that a worker lives, for ttl from now.
func (s *Store) Heartbeat(ctx context.Context, owner string, ttl time.Duration) error {
	err := heartbeatScript.Run(ctx, s.client, []string{workersKey}, owner, ttl.Milliseconds()).Err()
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// Retire says that a worker is gone.
func (s *Store) Retire(ctx context.Context, owner string) error {
	if err := s.client.ZRem(ctx, workersKey, owner).Err(); err != nil {
		return fmt.Errorf("retire: %w", err)
	}
	return nil
}

// LiveWorkers counts the workers whose sign of life has not run out.
func (s *Store) LiveWorkers(ctx context.Context) (int, error) {
	n, err := countScript.Run(ctx, s.client, []string{workersKey}).Int()
	if err != nil {
		return 0, fmt.Errorf("count the workers: %w", err)
	}
	return n, nil
}

// Alive reports whether a worker's sign of life has not run out.
func (s *Store) Alive(ctx context.Context, owner string) (bool, error) {
	alive, err := aliveScript.Run(ctx, s.client, []string{workersKey}, owner).Bool()
	if err != nil {
		return false, fmt.Errorf("look for a worker: %w", err)
	}
	return alive, nil
}
