package supervise

import "time"

// Restarts is the restart policy of a group.
type Restarts struct {
	// Pause precedes the first restart. It doubles with each further exit within Window.
	Pause time.Duration
	// Limit is the number of exits of one process within Window after which it is restarted. With one more, the
	// process has failed.
	Limit  int
	Window time.Duration
	// Report is called before each pause, from several goroutines.
	Report func(Restart)
}

// Restart describes a process that is about to be restarted.
type Restart struct {
	// Name is the program's name.
	Name string
	// Exit describes how the process ended, and has its last line.
	Exit string
	// Count is the number of its exits within the window, including this one.
	Count int
	// Pause is the time until the restart.
	Pause time.Duration
}

// pause returns the pause after the nth exit within the window, from 1.
func (r Restarts) pause(n int) time.Duration { return r.Pause << (n - 1) }

// exitTimes are the times at which a process exited.
type exitTimes []time.Time

// add records an exit at now and returns the number of exits within the window.
func (e *exitTimes) add(now time.Time, window time.Duration) int {
	recent := append(*e, now)
	for now.Sub(recent[0]) > window {
		recent = recent[1:]
	}
	*e = recent
	return len(recent)
}
