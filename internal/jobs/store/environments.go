package store

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// describeScript records descriptions of environments, and removes those that no worker has renewed for long.
//
//	KEYS[1]  {cellblock:workers}:environments
//	KEYS[2]  {cellblock:workers}:descriptions
//	ARGV[1]  milliseconds for which they are kept
//	ARGV[…]  for each: "name hash", its description
//	returns  1
var describeScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #ARGV, 2 do
	redis.call("ZADD", KEYS[1], string.format("%.0f", now + ARGV[1]), ARGV[i])
	redis.call("HSET", KEYS[2], ARGV[i], ARGV[i + 1])
end
for _, gone in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now))) do
	redis.call("ZREM", KEYS[1], gone)
	redis.call("HDEL", KEYS[2], gone)
end
return 1`)

// environmentsScript lists the descriptions of environments, the one renewed last first.
//
//	KEYS[1]  {cellblock:workers}:environments
//	KEYS[2]  {cellblock:workers}:descriptions
//	returns  the descriptions
var environmentsScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("ZRANGEBYSCORE", KEYS[1], string.format("(%.0f", now), "+inf")
local descriptions = {}
for i = #known, 1, -1 do
	table.insert(descriptions, redis.call("HGET", KEYS[2], known[i]) or "")
end
return descriptions`)

// DescribeEnvironments records what the environments of a worker are, for keep. A worker calls it again long before
// that, and when it has other ones.
func (s *Store) DescribeEnvironments(
	ctx context.Context, environments []jobs.Environment, keep time.Duration,
) error {
	args := []any{keep.Milliseconds()}
	for _, environment := range environments {
		encoded, err := json.Marshal(environment)
		if err != nil {
			return fmt.Errorf("describe the environment %s: %w", environment.Name, err)
		}
		args = append(args, environment.Name+" "+environment.Hash, encoded)
	}
	keys := []string{environmentsKey, descriptionsKey}
	if err := describeScript.Run(ctx, s.parts.Home(), keys, args...).Err(); err != nil {
		return fmt.Errorf("describe the environments: %w", err)
	}
	return nil
}

// Environments returns the described environments, the one described last first. Of a name there may be several
// versions.
func (s *Store) Environments(ctx context.Context) ([]jobs.Environment, error) {
	stored, err := environmentsScript.Run(ctx, s.parts.Home(), []string{environmentsKey, descriptionsKey}).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the environments: %w", err)
	}
	environments := make([]jobs.Environment, 0, len(stored))
	for _, text := range stored {
		var environment jobs.Environment
		// A worker of another version may store something else: that must not hide the rest.
		if json.Unmarshal([]byte(text), &environment) == nil && jobs.IsEnvironmentName(environment.Name) {
			environments = append(environments, environment)
		}
	}
	return environments, nil
}
