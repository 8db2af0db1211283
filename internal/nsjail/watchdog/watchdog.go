// Package watchdog bounds waits for processes by the time in which the machine lets them run, instead of by wall time.
// On a busy machine a process that waits for a processor looks like one that hangs, and to kill it harms others.
//
// A Watch counts time in ticks. Of a tick it does not count
//
//   - what this process itself did not run: a late tick counts as one;
//   - what a watched process waited for a processor, by /proc/<pid>/schedstat, or, while it still waits (state R), all
//     but the CPU time that it got;
//   - what a watched process waited for the kernel (state D: the disk, memory, the removal of a namespace).
//
// So a process that sleeps, is stopped or spins is overdue after the bound, and one that starves is not. A wait ends
// after Longest in any case, since a process that waits for the kernel may wait forever.
package watchdog

import (
	"context"
	"time"
)

const (
	// Tick is how often a Watch should be asked whether it has expired.
	Tick = 50 * time.Millisecond
	// maxStretch is how many times its bound a wait takes at most, unless that is less than leastLongest.
	maxStretch   = 10
	leastLongest = time.Minute
)

// Longest returns how long a wait with a bound takes at most, while this process runs.
func Longest(bound time.Duration) time.Duration { return max(maxStretch*bound, leastLongest) }

// Watch measures one wait. It is not safe for concurrent use.
type Watch struct {
	bound     time.Duration
	processes func() []int

	last time.Time
	// counted is the time that counts against the bound, elapsed the time that this process has run.
	counted, elapsed time.Duration
	samples          map[int]sample
}

// New starts a Watch that expires after bound. processes returns the process ids to watch now, and may be nil: then
// only time counts that this process has run. A process that is gone excuses nothing.
func New(bound time.Duration, processes func() []int) *Watch {
	return &Watch{bound: bound, processes: processes, last: time.Now()}
}

// Expired reports whether the bound was reached. The caller calls it about every Tick.
func (w *Watch) Expired() bool {
	now := time.Now()
	tick := min(now.Sub(w.last), Tick*3/2)
	w.last = now
	w.elapsed += tick
	samples, withheld := w.look(tick)
	w.samples = samples
	w.counted += tick - withheld
	return w.counted >= w.bound || w.elapsed >= Longest(w.bound)
}

// look samples the processes and returns the most that the machine withheld from one of them since the last time, at
// most tick.
func (w *Watch) look(tick time.Duration) (map[int]sample, time.Duration) {
	if w.processes == nil {
		return nil, 0
	}
	pids := w.processes()
	samples, withheld := make(map[int]sample, len(pids)), time.Duration(0)
	for _, pid := range pids {
		now, err := read(pid)
		if err != nil {
			continue
		}
		samples[pid] = now
		before, known := w.samples[pid]
		if !known {
			before = now
		}
		withheld = max(withheld, min(now.withheldSince(before, tick), tick))
	}
	return samples, withheld
}

// Wait blocks until done is closed, and reports whether that happened within the bound; see New.
func Wait(done <-chan struct{}, bound time.Duration, processes func() []int) bool {
	select {
	case <-done:
		return true
	default:
	}
	w := New(bound, processes)
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return true
		case <-ticker.C:
			if w.Expired() {
				return false
			}
		}
	}
}

// Context returns a context that is done when ctx is, or, with the cause context.DeadlineExceeded, once the bound is
// reached; see New. The caller must call cancel, which blocks until nothing of it is left. processes is called from
// another goroutine.
func Context(
	ctx context.Context, bound time.Duration, processes func() []int,
) (_ context.Context, cancel context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !Wait(ctx.Done(), bound, processes) {
			end(context.DeadlineExceeded)
		}
	}()
	return ctx, func() {
		end(nil)
		<-done
	}
}
