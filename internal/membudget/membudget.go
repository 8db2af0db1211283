// Package membudget limits the memory held by large requests and results.
package membudget

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrExhausted is the cause of an error for which a budget had no bytes left in time.
var ErrExhausted = errors.New("memory budget exhausted")

// Budget limits the memory held by large data: acquire bytes before allocating them. It is safe for concurrent use.
type Budget struct {
	bytes    *semaphore.Weighted
	total    int64
	patience time.Duration
}

// New returns a budget of total bytes. Acquire blocks for at most patience.
func New(total int64, patience time.Duration) *Budget {
	return &Budget{bytes: semaphore.NewWeighted(total), total: total, patience: patience}
}

// Acquire blocks until that many bytes are free, capped at the total. The caller calls release once it no longer holds
// them; further calls do nothing. Acquire reports false on timeout or when ctx is done.
func (b *Budget) Acquire(ctx context.Context, bytes int64) (release func(), ok bool) {
	bytes = min(bytes, b.total)
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	if b.bytes.Acquire(ctx, bytes) != nil {
		return func() {}, false
	}
	return sync.OnceFunc(func() { b.bytes.Release(bytes) }), true
}

// Idle reports whether no bytes are acquired.
func (b *Budget) Idle() bool {
	if !b.bytes.TryAcquire(b.total) {
		return false
	}
	b.bytes.Release(b.total)
	return true
}
