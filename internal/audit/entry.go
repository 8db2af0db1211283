package audit

import (
	"context"
	"sync"
)

// Entry collects what a request concerns while it is handled. It is safe for concurrent use: a call of a tool may go on
// when its request has ended. The methods of a nil Entry do nothing. An empty value changes nothing.
type Entry struct {
	mu   sync.Mutex
	line Line
}

type entryKey struct{}

// WithEntry returns a context with the entry of its request.
func WithEntry(ctx context.Context, entry *Entry) context.Context {
	return context.WithValue(ctx, entryKey{}, entry)
}

// Of returns the entry of the request that ctx belongs to; nil if there is none.
func Of(ctx context.Context) *Entry {
	entry, _ := ctx.Value(entryKey{}).(*Entry)
	return entry
}

// field selects a field of the line.
type field func(line *Line) *string

func jobID(line *Line) *string       { return &line.JobID }
func fileID(line *Line) *string      { return &line.FileID }
func target(line *Line) *string      { return &line.Target }
func outcomeCode(line *Line) *string { return &line.Outcome }

// set sets a field, unless the value is empty.
func (e *Entry) set(field field, value string) {
	if e == nil || value == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	*field(&e.line) = value
}

// Line returns what is known so far.
func (e *Entry) Line() Line {
	if e == nil {
		return Line{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.line
}

// SetAction sets the action, where the route does not decide it.
func (e *Entry) SetAction(action Action) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line.Action = action
}

// SetBatch sets a new batch, and the number of its jobs.
func (e *Entry) SetBatch(id string, count int) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line.BatchID, e.line.Count = id, count
}

// SetJob sets the job.
func (e *Entry) SetJob(id string) { e.set(jobID, id) }

// SetFile sets the stored file.
func (e *Entry) SetFile(id string) { e.set(fileID, id) }

// SetTarget sets the key or tenant that an administrator's action concerns.
func (e *Entry) SetTarget(id string) { e.set(target, id) }

// SetOutcome sets how the request ended, if it is not OutcomeOK: a code of the API.
func (e *Entry) SetOutcome(outcome string) { e.set(outcomeCode, outcome) }
