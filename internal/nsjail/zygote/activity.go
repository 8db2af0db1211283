package zygote

import (
	"sync/atomic"
	"time"
)

// activity reports for how long a Provider has had no job. It is safe for concurrent use.
type activity struct {
	running atomic.Int64
	// endedAt is when the last job ended, or the Provider was made, in nanoseconds since 1970.
	endedAt atomic.Int64
}

func newActivity() *activity {
	a := &activity{}
	a.endedAt.Store(time.Now().UnixNano())
	return a
}

// begin records that a job has acquired a sandbox, end that its sandbox is gone.
func (a *activity) begin() { a.running.Add(1) }

func (a *activity) end() {
	a.endedAt.Store(time.Now().UnixNano())
	a.running.Add(-1)
}

// idleFor returns how long no job has had a sandbox.
func (a *activity) idleFor() time.Duration {
	if a.running.Load() > 0 {
		return 0
	}
	return time.Since(time.Unix(0, a.endedAt.Load()))
}
