package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
)

// A job's policy is decided at its acceptance and stored in its record: limits, ttl and start_by. Records of an
// earlier version have neither limits nor ttl; then the settings of the process that reads them apply.

// DefaultSettings returns the settings of a process that reads records and accepts no jobs.
func DefaultSettings() Settings {
	return Settings{ResultTTL: time.Hour, SyncResultTTL: 10 * time.Minute}
}

// ceilingsKey is a hash of each worker's highest accepted limits, by owner. It is in the slot of workersKey.
const ceilingsKey = "{" + workersKey + "}:ceilings"

// ErrDamaged is returned for a record whose inputs or policy cannot be decoded. A retry returns it again.
var ErrDamaged = errors.New("the job's record is damaged")

// ttlFunction is Lua that returns a record's TTL in milliseconds, or a default if the record has none or an invalid
// one: no record may prevent a job from ending.
const ttlFunction = `
local function ttl_of(stored, otherwise)
	local ms = stored and string.find(stored, "^%d+$") and tonumber(stored)
	if ms and ms > 0 and ms < 9e12 then
		return stored
	end
	return otherwise
end
`

type storedLimits struct {
	WallUS    int64 `json:"wall_us,omitzero"`
	CPUUS     int64 `json:"cpu_us,omitzero"`
	Memory    int64 `json:"memory,omitzero"`
	Processes int   `json:"processes,omitzero"`
	Output    int64 `json:"output,omitzero"`
	// Open is jobs.Job.LimitsOpen.
	Open bool `json:"open,omitzero"`
}

func toStoredLimits(l jobs.RequestedLimits, open bool) storedLimits {
	return storedLimits{
		WallUS: l.Wall.Microseconds(), CPUUS: l.CPU.Microseconds(), Memory: l.MemoryBytes, Processes: l.Processes,
		Output: l.OutputBytes, Open: open,
	}
}

// decode returns the limits, or an error if one is negative or out of range.
func (l storedLimits) decode() (jobs.RequestedLimits, error) {
	const longest = math.MaxInt64 / int64(time.Microsecond)
	if min(l.WallUS, l.CPUUS, l.Memory, int64(l.Processes), l.Output) < 0 || max(l.WallUS, l.CPUUS) > longest {
		return jobs.RequestedLimits{}, fmt.Errorf("limits out of range: %+v", l)
	}
	return jobs.RequestedLimits{
		Wall: time.Duration(l.WallUS) * time.Microsecond, CPU: time.Duration(l.CPUUS) * time.Microsecond,
		MemoryBytes: l.Memory, Processes: l.Processes, OutputBytes: l.Output,
	}, nil
}

func encodeLimits(l jobs.RequestedLimits, open bool) (string, error) {
	if l == (jobs.RequestedLimits{}) {
		return "", nil
	}
	encoded, err := json.Marshal(toStoredLimits(l, open))
	return string(encoded), err
}

func decodeLimits(stored string) (limits jobs.RequestedLimits, open bool, err error) {
	if stored == "" {
		return jobs.RequestedLimits{}, false, nil
	}
	var l storedLimits
	if err := json.Unmarshal([]byte(stored), &l); err != nil {
		return jobs.RequestedLimits{}, false, fmt.Errorf("decode the limits: %w", err)
	}
	limits, err = l.decode()
	return limits, l.Open, err
}

// fleetScript lists the ceilings of the live workers that are not draining.
//
//	KEYS     the workers, the draining ones, their ceilings
//	returns  the ceilings, "" for a worker that has not registered any
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

// Fleet returns the ceilings of the live workers that are not draining, zero for a worker with unknown ceilings. It
// leaves out workers whose ceilings cannot be decoded.
func (s *Store) Fleet(ctx context.Context) ([]jobs.RequestedLimits, error) {
	stored, err := fleetScript.Run(ctx, s.client, []string{workersKey, drainingKey, ceilingsKey}).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list the workers' ceilings: %w", err)
	}
	fleet := make([]jobs.RequestedLimits, 0, len(stored))
	for _, text := range stored {
		if ceilings, _, err := decodeLimits(text); err == nil {
			fleet = append(fleet, ceilings)
		}
	}
	return fleet, nil
}

// untakeScript removes the mark that a worker has a queued job.
//
//	KEYS[1]  the job's hash
//	ARGV     owner
//	returns  1
var untakeScript = redis.NewScript(`
if redis.call("HGET", KEYS[1], "taken_by") == ARGV[1] then
	redis.call("HDEL", KEYS[1], "taken_by")
end
return 1`)

// Untake undoes Take: the worker leaves a queued job to another worker.
func (s *Store) Untake(ctx context.Context, id, owner string) error {
	if err := untakeScript.Run(ctx, s.client, []string{jobKey(id)}, owner).Err(); err != nil {
		return fmt.Errorf("hand job %s on: %w", id, err)
	}
	return nil
}
