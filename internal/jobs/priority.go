package jobs

// Priority orders the waiting single jobs of a tenant. Workers take of each in proportion to its weight, so that none
// starves.
type Priority string

// The priorities; jobs of waiting requests default to PriorityHigh.
const (
	PriorityHigh    Priority = "high"
	PriorityDefault Priority = "default"
	PriorityLow     Priority = "low"
)

// PriorityBatch is the priority of the jobs of batches, which wait in a flow of their batch whatever their priority; no
// request may ask for it.
const PriorityBatch Priority = "batch"

// Priorities returns the priorities that a request may ask for, highest first.
func Priorities() []Priority { return []Priority{PriorityHigh, PriorityDefault, PriorityLow} }
