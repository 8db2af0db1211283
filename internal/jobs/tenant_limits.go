package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// TenantSettings are the limits of each tenant with keys, unless a key has its own. They do not apply to the operator.
type TenantSettings struct {
	RequestsPerSecond float64       `name:"tenant-requests-per-second" env:"TENANT_REQUESTS_PER_SECOND" default:"0" help:"How many requests per second each tenant may send on average, all its keys together; more are refused with 429 rate_limited. A key may have its own number. 0 (the default) is no bound."`
	Burst             int           `name:"tenant-burst" env:"TENANT_BURST" default:"0" help:"How many requests a tenant may send at once, after a pause. 0 (the default) is as many as in one second."`
	OpenJobs          int           `name:"tenant-open-jobs" env:"TENANT_OPEN_JOBS" default:"0" help:"How many jobs of a tenant may be queued or running before new ones are refused with 429 quota_exceeded. 0 (the default) is no number; a tenant never has more than are still free in QUEUE_LIMIT."`
	RunningJobs       int           `name:"tenant-running-jobs" env:"TENANT_RUNNING_JOBS" default:"0" help:"How many jobs of a tenant may run at once; the others wait. 0 (the default) is no bound."`
	CPUPerDay         time.Duration `name:"tenant-cpu-per-day" env:"TENANT_CPU_PER_DAY" default:"0s" help:"CPU time (duration) that the jobs of a tenant may use in a day (UTC) before new ones are refused with 429 quota_exceeded until its end. 0s (the default) is no bound."`
}

// Validate returns an error if a setting is out of range.
func (s TenantSettings) Validate() error {
	var errs []error
	if !(s.RequestsPerSecond >= 0 && s.RequestsPerSecond <= maxCount) {
		errs = append(errs, errors.New("TENANT_REQUESTS_PER_SECOND must be from 0 (no bound) to 1000000"))
	}
	if s.Burst < 0 || s.Burst > maxCount {
		errs = append(errs, errors.New("TENANT_BURST must be from 0 (as many as in one second) to 1000000"))
	}
	if s.OpenJobs < 0 || s.RunningJobs < 0 {
		errs = append(errs, errors.New("TENANT_OPEN_JOBS and TENANT_RUNNING_JOBS must be 0 (no bound) or above"))
	}
	if s.CPUPerDay != 0 && s.CPUPerDay < time.Second {
		errs = append(errs, errors.New("TENANT_CPU_PER_DAY must be 0 (no bound) or at least 1s"))
	}
	return errors.Join(errs...)
}

// Limits returns the settings as limits.
func (s TenantSettings) Limits() TenantLimits {
	return TenantLimits{
		RequestsPerSecond: s.RequestsPerSecond, Burst: s.Burst,
		OpenJobs: s.OpenJobs, RunningJobs: s.RunningJobs, CPUPerDay: s.CPUPerDay,
	}
}

// Over returns the limits with those of defaults for the fields that are zero. A negative number stays: it is no bound,
// whatever the default is. The default burst belongs to the default rate: limits with a rate of their own do not get
// it.
func (l TenantLimits) Over(defaults TenantLimits) TenantLimits {
	if l.RequestsPerSecond == 0 {
		l.RequestsPerSecond = defaults.RequestsPerSecond
		l.Burst = cmp.Or(l.Burst, defaults.Burst)
	}
	l.Weight = cmp.Or(l.Weight, defaults.Weight)
	l.OpenJobs = cmp.Or(l.OpenJobs, defaults.OpenJobs)
	l.RunningJobs = cmp.Or(l.RunningJobs, defaults.RunningJobs)
	l.CPUPerDay = cmp.Or(l.CPUPerDay, defaults.CPUPerDay)
	l.Largest = l.Largest.over(defaults.Largest)
	if len(l.Environments) == 0 {
		l.Environments = defaults.Environments
	}
	return l
}

// over returns the limits with those of defaults for the fields that are zero.
func (l RequestedLimits) over(defaults RequestedLimits) RequestedLimits {
	return RequestedLimits{
		Wall: cmp.Or(l.Wall, defaults.Wall), CPU: cmp.Or(l.CPU, defaults.CPU),
		MemoryBytes: cmp.Or(l.MemoryBytes, defaults.MemoryBytes),
		Processes:   cmp.Or(l.Processes, defaults.Processes), OutputBytes: cmp.Or(l.OutputBytes, defaults.OutputBytes),
	}
}

// BurstSize returns how many requests may come at once: Burst, or as many as in one second, and at least one.
func (l TenantLimits) BurstSize() int {
	if l.Burst > 0 {
		return l.Burst
	}
	return max(1, int(math.Ceil(min(l.RequestsPerSecond, maxCount))))
}

// AllowsEnvironment reports whether jobs may have an environment; its name is never "".
func (l TenantLimits) AllowsEnvironment(name string) bool {
	return len(l.Environments) == 0 || slices.Contains(l.Environments, name)
}

// Bounds returns the limits that apply to what the caller does: none for the operator.
func (c Caller) Bounds() TenantLimits {
	if c.Tenant == Operator {
		return TenantLimits{}
	}
	return c.Limits
}

// CheckLargest returns an error with CodeInvalidRequest if the requested limits are above the tenant's largest.
func (l TenantLimits) CheckLargest(requested RequestedLimits) error {
	name, got, most := aboveAll(requested, []RequestedLimits{l.Largest})
	if name == "" {
		return nil
	}
	return Errorf(CodeInvalidRequest, `"limits.%s" is %s, and the jobs of your tenant may have at most %s; `+
		"ask for less, or leave it out", name, got, most)
}

// The names of the limits in errors with CodeQuotaExceeded.
const (
	LimitOpenJobs  = "open_jobs"
	LimitCPUPerDay = "cpu_seconds_per_day"
)

// TooManyOpen returns the error for added more jobs of a tenant that has own open ones and may have at most most.
// crowded reports that it may have no more because the queue has no more room.
func TooManyOpen(own, added, most int, crowded bool) *Error {
	message := fmt.Sprintf("your tenant has %d of at most %d jobs queued or running", own, most)
	if added > 1 {
		message += fmt.Sprintf(", and this request has %d more", added)
	}
	if crowded {
		message += "; no tenant may take more than half of the room that the queue has left"
	}
	return &Error{
		Code: CodeQuotaExceeded, Message: message + "; wait until some have ended, or cancel some",
		Limit: &LimitHit{Name: LimitOpenJobs, Value: float64(most), Unit: "count"},
	}
}

// CPUUsedUp returns the error for a job of a tenant whose processor time of a day is used up, before that day's end.
func CPUUsedUp(most, left time.Duration) *Error {
	return &Error{
		Code: CodeQuotaExceeded, RetryAfterSeconds: int(math.Ceil(left.Seconds())),
		Message: fmt.Sprintf("the jobs of your tenant have used the %s seconds of processor time that they may use in "+
			"a day (UTC); new ones are accepted again from midnight", plainNumber(most.Seconds())),
		Limit: &LimitHit{Name: LimitCPUPerDay, Value: most.Seconds(), Unit: "seconds"},
	}
}

// RequestQuota is what a tenant has left of its requests per second, after one of them.
type RequestQuota struct {
	// Allowed reports whether the request may be served.
	Allowed bool
	// Left is how many requests may follow at once.
	Left int
	// Next is the time until one more than Left is allowed, 0 or more.
	Next time.Duration
}
