package jobs

import "time"

// WorkerStatus is a live worker, as it has reported itself.
type WorkerStatus struct {
	// ID is the worker's name, unique to the process, and Host that of its machine or container.
	ID, Host string
	// Version is that of the program, "" if it is not known.
	Version string
	// StartedAt is when the process started, by its own clock; zero if it is not known.
	StartedAt time.Time
	// LastSeenAt is when its last heartbeat came.
	LastSeenAt time.Time
	// Draining reports that it takes no more jobs.
	Draining bool
	// Places is how many jobs it runs at once, 0 if it is not known, and Busy how many it holds.
	Places, Busy int
	// Environments are what its jobs can have, the default first.
	Environments []WorkerEnvironment
}

// WorkerEnvironment is an environment of a worker.
type WorkerEnvironment struct {
	Name string
	// Hash is that of the version, "" if it is not known.
	Hash string
	// Ready is how many sandboxes waited for a job at its last full report; nil if it is not known.
	Ready *int
}
