package store

import (
	"strings"

	"cellblock/internal/jobs"
)

// encodeTrace returns the stored form of a place in a trace, "" for none. Neither part contains a space at its begin.
func encodeTrace(trace jobs.TraceContext) string {
	if trace.State == "" {
		return trace.Parent
	}
	return trace.Parent + " " + trace.State
}

// decodeTrace returns an empty trace context for a text that is not valid: no record may keep a job from running.
func decodeTrace(stored string) jobs.TraceContext {
	parent, state, _ := strings.Cut(stored, " ")
	return jobs.ParseTraceContext(parent, state)
}
