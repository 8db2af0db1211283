package dispatch

import (
	"context"
	"math"
	"time"

	"cellblock/internal/jobs/store"
)

const (
	// memoryShare is the part of Redis's maxmemory above which jobs are refused.
	// Taking a job and storing its end need memory too, and without it nothing
	// would move any more.
	memoryShare = 0.75
	// rateMemory is how much of the old drain rate is left after a second.
	rateMemory = 0.8
	// The bounds of Retry-After, in seconds.
	leastRetryAfter, mostRetryAfter = 1, 60
)

// pressure is how full the queue is. Read only.
type pressure struct {
	// memory tells that Redis has not much left.
	memory bool
	// rate is how many jobs end in a second, smoothed.
	rate  float64
	ended int64
	at    time.Time
}

// measure looks how full the queue is, and how fast it drains.
func (d *Dispatcher) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	load, err := d.store.ReadLoad(ctx)
	if err != nil {
		return // accepting says so
	}
	last, now := d.pressure.Load(), time.Now()
	next := &pressure{
		memory: load.MaxMemory > 0 && float64(load.UsedMemory) > memoryShare*float64(load.MaxMemory),
		ended:  load.Ended, at: now, rate: last.rate,
	}
	if !last.at.IsZero() {
		seconds := now.Sub(last.at).Seconds()
		kept := math.Pow(rateMemory, seconds)
		ended := max(0, load.Ended-last.ended) // Redis may have begun anew
		next.rate = kept*last.rate + (1-kept)*float64(ended)/seconds
	}
	d.pressure.Store(next)
}

// largeInputs is from when on inputs are too large to rely on a look at Redis's
// memory that is up to a second old, in bytes.
const largeInputs = 256 << 10

// roomFor reports whether Redis has room for inputs of that size, and will still
// have enough left to move jobs.
func (d *Dispatcher) roomFor(ctx context.Context, size int) (bool, error) {
	if d.pressure.Load().memory {
		return false, nil
	}
	if size < largeInputs {
		return true, nil
	}
	load, err := d.store.ReadLoad(ctx)
	if err != nil {
		return false, err
	}
	return fits(load, size), nil
}

// fits reports whether Redis still has enough memory left with so many bytes more.
func fits(load store.Load, size int) bool {
	return load.MaxMemory == 0 || float64(load.UsedMemory)+float64(size) < memoryShare*float64(load.MaxMemory)
}

// retryAfter is in how many seconds a tenth of the queue will have drained.
func (d *Dispatcher) retryAfter() int {
	rate := d.pressure.Load().rate
	if rate <= 0 {
		return mostRetryAfter
	}
	seconds := math.Ceil(float64(d.settings.QueueLimit) / 10 / rate)
	return int(min(max(seconds, leastRetryAfter), mostRetryAfter))
}
