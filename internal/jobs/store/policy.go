package store

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// What a job's record says of how it is to be treated is decided at its acceptance: limits, ttl and start_by.
// Records of an earlier version have neither limits nor ttl; the settings of their reader then count.

// DefaultSettings are those of a process that reads records and accepts no jobs.
func DefaultSettings() Settings {
	return Settings{ResultTTL: time.Hour, SyncResultTTL: 10 * time.Minute}
}

// ceilingsKey is a hash of the limits above which a worker takes no job, by owner. It lies in the slot of workersKey.
const ceilingsKey = "{" + workersKey + "}:ceilings"

func encodeLimits(l jobs.AskedLimits, open bool) (string, error) {
	if l == (jobs.AskedLimits{}) {
		return "", nil
	}
	encoded, err := json.Marshal(storedLimits{
		WallUS: l.Wall.Microseconds(), CPUUS: l.CPU.Microseconds(), Memory: l.MemoryBytes, Processes: l.Processes, Output: l.OutputBytes, Open: open,
	})
	return string(encoded), err
}

func decodeLimits(stored string) (limits jobs.AskedLimits, open bool, err error) {
	if stored == "" {
		return jobs.AskedLimits{}, false, nil
	}
	var l storedLimits
	if err := json.Unmarshal([]byte(stored), &l); err != nil {
		return jobs.AskedLimits{}, false, fmt.Errorf("decode the limits: %w", err)
	}
	return jobs.AskedLimits{
		Wall: time.Duration(l.WallUS) * time.Microsecond, CPU: time.Duration(l.CPUUS) * time.Microsecond,
		MemoryBytes: l.Memory, Processes: l.Processes, OutputBytes: l.Output,
	}, l.Open, nil
}

// fleetScript lists the ceilings of the workers that live and do not drain.
//
//	KEYS     the workers, those that drain, their ceilings
//	returns  the ceilings, "" for those of a worker that has not registered any
var fleetScript = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fleet = {}
for _, owner in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], string.format("(%.0f", now), "+inf")) do
	if redis.call("SISMEMBER", KEYS[2], owner) == 0 then
		table.insert(fleet, redis.call("HGET", KEYS[3], owner) or "")
	end -- of one that takes jobs
end
return fleet`)

// Fleet gives the ceilings of the workers that live and take jobs, zero for one whose ceilings are not known.
func (s *Store) Fleet(ctx context.Context) ([]jobs.AskedLimits, error) {
	stored, err := fleetScript.Run(ctx, s.client, []string{workersKey, drainingKey, ceilingsKey}).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the workers' ceilings: %w", err)
	}
	fleet := make([]jobs.AskedLimits, len(stored))
	for i, text := range stored {
		if fleet[i], _, err = decodeLimits(text); err != nil {
			return nil, err
		}
	}
	return fleet, nil
}

// handOnScript notes that a worker does not have a queued job any more.
//
//	KEYS[1]  the job's hash
//	ARGV     owner
//	returns  1
var handOnScript = redis.NewScript(`
if redis.call("HGET", KEYS[1], "taken_by") == ARGV[1] then
	redis.call("HDEL", KEYS[1], "taken_by")
end
return 1`)

// HandOn undoes Take: the worker leaves a queued job to another one.
func (s *Store) HandOn(ctx context.Context, id, owner string) error {
	if err := handOnScript.Run(ctx, s.client, []string{jobKey(id)}, owner).Err(); err != nil {
		return fmt.Errorf("hand job %s on: %w", id, err)
	}
	return nil
}
