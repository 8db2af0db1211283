package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrNoRoom is the cause of an Error for which there was no room in time.
var ErrNoRoom = errors.New("no room")

// Room limits the memory held by large data: take room for the bytes before holding them. It is safe for concurrent
// use.
type Room struct {
	bytes    *semaphore.Weighted
	all      int64
	patience time.Duration
}

// NewRoom returns room for the given number of bytes. Take waits for at most patience.
func NewRoom(bytes int64, patience time.Duration) *Room {
	return &Room{bytes: semaphore.NewWeighted(bytes), all: bytes, patience: patience}
}

// Take waits until there is room for the given number of bytes, capped at the total. The caller must call release once
// it no longer holds them; further calls do nothing. ok is false on timeout or when ctx ends.
func (r *Room) Take(ctx context.Context, bytes int64) (release func(), ok bool) {
	bytes = min(bytes, r.all)
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	if r.bytes.Acquire(ctx, bytes) != nil {
		return func() {}, false
	}
	return sync.OnceFunc(func() { r.bytes.Release(bytes) }), true
}

// Free reports whether no room is taken.
func (r *Room) Free() bool {
	if !r.bytes.TryAcquire(r.all) {
		return false
	}
	r.bytes.Release(r.all)
	return true
}
