package dispatch

import (
	"context"
	"math"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

const (
	// memoryShare is the part of Redis's maxmemory above which jobs are refused. The rest is needed to take jobs and
	// to store their ends; without it no job would progress.
	memoryShare = 0.75
	// rateMemory is the weight of the old drain rate after a second.
	rateMemory = 0.8
	// leastRetryAfter and mostRetryAfter bound Retry-After, in seconds.
	leastRetryAfter, mostRetryAfter = 1, 60
)

// pressure is a measurement of the queue's load. It is immutable.
type pressure struct {
	// memory reports that Redis has little memory left.
	memory bool
	// rate is the number of jobs that end per second, smoothed.
	rate  float64
	ended int64
	at    time.Time
}

// measure measures the queue's load and drain rate.
func (d *Dispatcher) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	load, err := d.store.ReadLoad(ctx)
	if err != nil {
		return // a failing submission reports it
	}
	last, now := d.pressure.Load(), time.Now()
	next := &pressure{
		memory: load.MaxMemory > 0 && float64(load.UsedMemory) > memoryShare*float64(load.MaxMemory),
		ended:  load.Ended, at: now, rate: last.rate,
	}
	if !last.at.IsZero() {
		seconds := now.Sub(last.at).Seconds()
		kept := math.Pow(rateMemory, seconds)
		ended := max(0, load.Ended-last.ended) // Redis may have lost its data
		next.rate = kept*last.rate + (1-kept)*float64(ended)/seconds
	}
	d.pressure.Store(next)
}

// largeInputs is the size in bytes from which inputs are too large to rely on a measurement of Redis's memory that is
// up to a second old.
const largeInputs = 256 << 10

var errMemory = jobs.Errorf(jobs.CodeQueueFull, "the queue's memory is nearly full")

// admit returns a *jobs.Error with CodeQueueFull if Redis has no memory for inputs of size bytes, or not enough left to
// process jobs. For large inputs it also does so if limit jobs are open (0: any number), before they are sent.
func (d *Dispatcher) admit(ctx context.Context, size, limit int) error {
	if d.pressure.Load().memory {
		return errMemory
	}
	if size < largeInputs {
		return nil
	}
	load, err := d.store.ReadLoad(ctx)
	switch {
	case err != nil:
		return err
	case !fits(load, size):
		return errMemory
	case limit > 0 && load.Open >= limit:
		return jobs.Errorf(jobs.CodeQueueFull, "the queue is full")
	}
	return nil
}

// fits reports whether Redis has enough memory left after storing size more bytes.
func fits(load store.Load, size int) bool {
	return load.MaxMemory == 0 || float64(load.UsedMemory)+float64(size) < memoryShare*float64(load.MaxMemory)
}

// retryAfter returns the number of seconds in which a tenth of the queue will have drained.
func (d *Dispatcher) retryAfter() int {
	rate := d.pressure.Load().rate
	if rate <= 0 {
		return mostRetryAfter
	}
	seconds := math.Ceil(float64(d.settings.QueueLimit) / 10 / rate)
	return int(min(max(seconds, leastRetryAfter), mostRetryAfter))
}
