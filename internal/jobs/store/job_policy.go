package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// A job's policy is decided at its acceptance and stored in its record: limits, ttl and start_by. Records of an
// earlier version have neither limits nor ttl; then the settings of the process that reads them apply.

// ErrDamaged is returned for a record whose inputs or policy cannot be decoded, and for one whose inputs are missing. A
// retry returns it again.
var ErrDamaged = errors.New("the job's record is damaged")

// storedLimits is the stored form of jobs.RequestedLimits. Absent fields take no space.
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

// WithdrawLate ends a queued job whose start deadline has passed with CodeNotStarted, and reports whether it did. It
// does nothing to a job that is running, has ended, may still be started or does not exist. So any process may call it.
func (s *Store) WithdrawLate(ctx context.Context, id string) (bool, error) {
	message, err := s.notStartedMessage(ctx, id)
	if err != nil {
		return false, fmt.Errorf("withdraw job %s: %w", id, err)
	}
	return s.end(ctx, id, jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeNotStarted, Message: message}}, whenLate)
}

// notStartedMessage returns the message for a job that was not started. It names the limit that no worker allows, or
// the environment that none has, if that is the reason.
func (s *Store) notStartedMessage(ctx context.Context, id string) (string, error) {
	values, err := s.of(id).HMGet(ctx, jobKey(id), "limits", "environment").Result()
	if err != nil {
		return "", err
	}
	stored, _ := values[0].(string)
	environment, _ := values[1].(string)
	limits, open, err := decodeLimits(stored)
	if environment == "" && (err != nil || open || stored == "") {
		return jobs.MessageNotStarted, nil //nolint:nilerr // a damaged record must not keep the job
	}
	fleet, err := s.Fleet(ctx)
	able := fleet.Limits(environment)
	switch {
	case err == nil && environment != "" && len(able) == 0:
		return jobs.WithoutEnvironment(environment), nil
	case open || stored == "":
		return jobs.MessageNotStarted, err
	}
	return jobs.NotStartedMessage(limits, able), err
}
