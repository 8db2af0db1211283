package jobs

// Priority says which queue a job waits in. Workers take from each in
// proportion to its weight, so that none is starved by another.
type Priority string

// The priorities; those who wait for an answer are served as PriorityHigh.
const (
	PriorityHigh    Priority = "high"
	PriorityDefault Priority = "default"
	PriorityLow     Priority = "low"
)

// PriorityBatch is that of the jobs of batches, which nobody else may ask for.
const PriorityBatch Priority = "batch"

// Priorities are those that a job may ask for, highest first.
func Priorities() []Priority { return []Priority{PriorityHigh, PriorityDefault, PriorityLow} }
