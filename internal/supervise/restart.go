package supervise

import "time"

// Restarts is the policy by which processes are started again.
type Restarts struct {
	// Pause precedes the first restart. It doubles with each further end within Window.
	Pause time.Duration
	// Limit is how many ends of one process within Window are followed by a restart.
	// One more, and the process has failed.
	Limit  int
	Window time.Duration
	// Report is called before each pause, from several goroutines.
	Report func(Restart)
}

// Restart is one process that is about to be started again.
type Restart struct {
	// Name is the program's.
	Name string
	// Ending is how the process ended, and its last line.
	Ending string
	// Count is how often it ended within the window, this time included.
	Count int
	// Pause is the time until the start.
	Pause time.Duration
}

// pause is what precedes the start after the nth end within the window, from 1.
func (r Restarts) pause(n int) time.Duration { return r.Pause << (n - 1) }

// ends are the times at which a process ended.
type ends []time.Time

// add records an end at now and returns how many there were within the window.
func (e *ends) add(now time.Time, window time.Duration) int {
	recent := append(*e, now)
	for now.Sub(recent[0]) > window {
		recent = recent[1:]
	}
	*e = recent
	return len(recent)
}
