package membudget

import (
	"context"
	"sync"
	"time"
)

// Pace is how a holder gets on.
type Pace int

const (
	// Working holders do not wait for their client.
	Working Pace = iota
	// Waiting holders wait for their client, which is fast enough.
	Waiting
	// Stalled holders wait for a client that is too slow.
	Stalled
)

// Holder is a request, or several, for which memory is held. A Budget calls its methods while it is locked: they must
// not block, nor call the budget.
type Holder interface {
	// Client is the client that memory is counted for.
	Client() string
	// Pace returns how the holder gets on.
	Pace() Pace
	// Cut ends the holder, which then releases its memory soon.
	Cut()
}

type holderKey struct{}

// WithHolder returns a context for memory that is held for a holder.
func WithHolder(ctx context.Context, holder Holder) context.Context {
	return context.WithValue(ctx, holderKey{}, holder)
}

// HolderOf returns the holder of a context; nil if there is none.
func HolderOf(ctx context.Context) Holder {
	holder, _ := ctx.Value(holderKey{}).(Holder)
	return holder
}

const (
	// stallTime is how long a client may let a single read or write wait, which are of at most StepBytes.
	stallTime = time.Second
	// slowStart and leastRate bound how long a client may let all reads and writes wait: slowStart, and a second for
	// each leastRate bytes.
	slowStart = 2 * time.Second
	leastRate = 256 << 10
	// StepBytes is the most that one step of a Transfer may have, in bytes.
	StepBytes = 64 << 10
)

// Transfer is the Holder of one request. It counts the bytes that its client sent and read, and the time for which it
// let the service wait. Begin and End are called by one goroutine, the other methods by any.
type Transfer struct {
	client string
	end    func(reading bool)

	mu sync.Mutex
	// waitingSince is zero between two steps.
	waitingSince time.Time
	reading      bool
	waited       time.Duration
	bytes        int64
	// cut is whether it was cut. A cut read leaves the write of a response that explains it.
	cut, cutWrites, closed bool
}

// NewTransfer returns the transfer of a client's request. end makes the step in progress fail, the read of the
// client's body or the write of the response; it is not called after Close.
func NewTransfer(client string, end func(reading bool)) *Transfer {
	return &Transfer{client: client, end: end}
}

// Client implements Holder.
func (t *Transfer) Client() string { return t.client }

// Begin begins a step: a read from the client, or a write to it, of at most StepBytes. It reports false if the transfer
// was cut; the step then may only End. After the cut of a read, writes go on.
func (t *Transfer) Begin(reading bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waitingSince, t.reading = time.Now(), reading
	return !t.cut || !reading && !t.cutWrites
}

// End ends a step in which n bytes were transferred.
func (t *Transfer) End(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waited += time.Since(t.waitingSince)
	t.waitingSince = time.Time{}
	t.bytes += int64(n)
}

// Pace implements Holder.
func (t *Transfer) Pace() Pace {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waitingSince.IsZero() {
		return Working
	}
	step := time.Since(t.waitingSince)
	if step > stallTime || t.waited+step > slowStart+time.Duration(t.bytes)*time.Second/leastRate {
		return Stalled
	}
	return Waiting
}

// Cut implements Holder: the step in progress fails, and no other begins.
func (t *Transfer) Cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut || t.closed {
		return
	}
	t.cut, t.cutWrites = true, t.waitingSince.IsZero() || !t.reading
	if !t.waitingSince.IsZero() {
		t.end(t.reading)
	}
}

// WasCut reports whether the transfer was cut.
func (t *Transfer) WasCut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}

// Close makes Cut do nothing: the request is over, and its connection may serve another one.
func (t *Transfer) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}
