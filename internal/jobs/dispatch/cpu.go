package dispatch

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
)

// CPUMeter knows how much processor time tenants have used.
type CPUMeter interface {
	// CPUToday returns the processor time of a tenant's jobs that have ended since midnight (UTC).
	CPUToday(ctx context.Context, tenant jobs.Tenant) (time.Duration, error)
}

const (
	// cpuAge is how old a reading may be. The time of a job counts once it has ended, so that a younger one would not
	// make the bound exact.
	cpuAge = time.Second
	// cpuTimeout bounds a reading: a job is accepted without it.
	cpuTimeout = 500 * time.Millisecond
	// cpuReadings is how many readings are kept, beyond which old ones are dropped.
	cpuReadings = 1000
)

// cpuCache holds the last readings of a meter. It is safe for concurrent use.
type cpuCache struct {
	meter    CPUMeter
	mu       sync.Mutex
	readings map[jobs.Tenant]cpuReading
}

type cpuReading struct {
	used time.Duration
	at   time.Time
}

// used returns what a tenant has used at most cpuAge ago. If that cannot be read, it is the last reading of the day, or
// nothing.
func (c *cpuCache) used(ctx context.Context, tenant jobs.Tenant) time.Duration {
	now := time.Now()
	c.mu.Lock()
	last, known := c.readings[tenant]
	c.mu.Unlock()
	if known && now.Sub(last.at) < cpuAge && sameDay(last.at, now) {
		return last.used
	}
	ctx, cancel := context.WithTimeout(ctx, cpuTimeout)
	defer cancel()
	used, err := c.meter.CPUToday(ctx, tenant)
	if err != nil {
		if known && sameDay(last.at, now) {
			return last.used
		}
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readings == nil || len(c.readings) >= cpuReadings {
		c.readings = map[jobs.Tenant]cpuReading{}
	}
	c.readings[tenant] = cpuReading{used: used, at: now}
	return used
}

func sameDay(a, b time.Time) bool { return midnight(a).Equal(midnight(b)) }

// midnight returns the start of the day (UTC) of t.
func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// checkCPU returns an error with CodeQuotaExceeded if the caller's tenant has used its processor time of the day.
func (d *Dispatcher) checkCPU(ctx context.Context, caller jobs.Caller) error {
	most := caller.Bounds().CPUPerDay
	if most <= 0 || d.cpu.used(ctx, caller.Tenant) < most {
		return nil
	}
	now := time.Now()
	return jobs.CPUUsedUp(most, midnight(now).Add(24*time.Hour).Sub(now))
}
