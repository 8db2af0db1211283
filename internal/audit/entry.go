package audit

import (
	"cmp"
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

func (e *Entry) set(set func(line *Line)) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	set(&e.line)
}

// Line returns what is known so far.
func (e *Entry) Line() (line Line) {
	e.set(func(known *Line) { line = *known })
	return line
}

// SetAction sets the action, where the route does not decide it.
func (e *Entry) SetAction(action Action) {
	e.set(func(line *Line) { line.Action = action })
}

// SetCaller sets who made the request: the tenant, and the id of the key, "" for none.
func (e *Entry) SetCaller(tenant, keyID string) {
	e.set(func(line *Line) { line.Tenant, line.KeyID = tenant, keyID })
}

// SetJob sets the job.
func (e *Entry) SetJob(id string) {
	e.set(func(line *Line) { line.JobID = cmp.Or(id, line.JobID) })
}

// SetBatch sets the batch, and for a new one the number of its jobs.
func (e *Entry) SetBatch(id string, count int) {
	e.set(func(line *Line) { line.BatchID, line.Count = cmp.Or(id, line.BatchID), count })
}

// SetFile sets the stored file.
func (e *Entry) SetFile(id string) {
	e.set(func(line *Line) { line.FileID = cmp.Or(id, line.FileID) })
}

// SetTarget sets the key or tenant that an administrator's action concerns.
func (e *Entry) SetTarget(id string) {
	e.set(func(line *Line) { line.Target = cmp.Or(id, line.Target) })
}

// SetOutcome sets how the request ended, if it is not OutcomeOK: a code of the API.
func (e *Entry) SetOutcome(outcome string) {
	e.set(func(line *Line) { line.Outcome = cmp.Or(outcome, line.Outcome) })
}
