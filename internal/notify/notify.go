// Package notify wakes goroutines that wait on a key.
package notify

import (
	"slices"
	"sync"

	"github.com/google/uuid"
)

// Waiters is a set of goroutines that wait, each on a key, for values. The zero value is ready to use. It is safe for
// concurrent use.
type Waiters[T any] struct {
	mu    sync.Mutex
	byKey map[string][]chan T
}

// Wait registers a waiter. The channel receives the value of one call of Notify, for that and for those that follow
// before the waiter receives it; the receiver then checks its condition, which may not hold yet. Call done once to
// remove the waiter.
func (w *Waiters[T]) Wait(key string) (notified <-chan T, done func()) {
	c := make(chan T, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = map[string][]chan T{}
	}
	w.byKey[key] = append(w.byKey[key], c)
	return c, func() { w.remove(key, c) }
}

func (w *Waiters[T]) remove(key string, c chan T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byKey[key] = slices.DeleteFunc(w.byKey[key], func(other chan T) bool { return other == c })
	if len(w.byKey[key]) == 0 {
		delete(w.byKey, key)
	}
}

// Notify wakes all waiters on a key with a value.
func (w *Waiters[T]) Notify(key string, value T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.byKey[key] {
		select {
		case c <- value:
		default: // one pending value is enough
		}
	}
}

// Keys returns the keys that have waiters.
func (w *Waiters[T]) Keys() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := make([]string, 0, len(w.byKey))
	for key := range w.byKey {
		keys = append(keys, key)
	}
	return keys
}

// Channel is the Pub/Sub channel of this process, and the waiters on the keys that are published there. Messages may be
// lost, so waiters also check their conditions at intervals.
type Channel struct {
	Waiters[struct{}]

	Name string
}

// NewChannel returns a channel with a name of its own.
func NewChannel() *Channel { return &Channel{Name: "cellblock:replica:" + uuid.NewString()} }
