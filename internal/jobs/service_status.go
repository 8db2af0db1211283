package jobs

import "time"

// ServiceStatus is what the whole service has to do, and with what, as Redis has it.
type ServiceStatus struct {
	// Queues are the queues of the environments, by name.
	Queues map[string]QueueStatus
	// Webhooks counts the webhooks that are not over.
	Webhooks int
	// Workers counts the live workers that take jobs, Slots the jobs that they can run at once, and Busy those that
	// they have.
	Workers, Slots, Busy int
	// UsedMemory and MaxMemory are Redis's, in bytes; MaxMemory is 0 if it has no bound.
	UsedMemory, MaxMemory int64
}

// QueueStatus is the queue of an environment.
type QueueStatus struct {
	// Waiting counts the jobs that wait for a worker, and Held those that wait since their tenant has as many running
	// as it may.
	Waiting, Held int
	// Oldest is for how long the oldest of Waiting has waited; 0 without one.
	Oldest time.Duration
	// Workers counts the live workers that take its jobs.
	Workers int
}
