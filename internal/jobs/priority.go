package jobs

// Priority selects the queue of a job. Workers take from each queue in proportion to its weight, so that none starves.
type Priority string

// The priorities; jobs of waiting requests default to PriorityHigh.
const (
	PriorityHigh    Priority = "high"
	PriorityDefault Priority = "default"
	PriorityLow     Priority = "low"
)

// PriorityBatch is the priority of the jobs of batches; no request may ask for it.
const PriorityBatch Priority = "batch"

// Priorities returns the priorities that a request may ask for, highest first.
func Priorities() []Priority { return []Priority{PriorityHigh, PriorityDefault, PriorityLow} }
