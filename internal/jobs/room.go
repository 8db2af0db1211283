package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrNoRoom lies behind an Error for which there was no room in time.
var ErrNoRoom = errors.New("no room")

// Room is memory for what is large: whoever is about to hold some of it takes room
// for it first. It is safe for concurrent use.
type Room struct {
	bytes    *semaphore.Weighted
	all      int64
	patience time.Duration
}

// NewRoom makes room for so many bytes, for which Take waits as long as patience.
func NewRoom(bytes int64, patience time.Duration) *Room {
	return &Room{bytes: semaphore.NewWeighted(bytes), all: bytes, patience: patience}
}

// Take waits until there is room for so many bytes; more than there is in all count
// as that. Whoever took it calls release, once or more. It is not ok if there was
// none in time, or ctx ended.
func (r *Room) Take(ctx context.Context, bytes int64) (release func(), ok bool) {
	bytes = min(bytes, r.all)
	ctx, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	if r.bytes.Acquire(ctx, bytes) != nil {
		return func() {}, false
	}
	return sync.OnceFunc(func() { r.bytes.Release(bytes) }), true
}

// Free reports whether nobody holds any.
func (r *Room) Free() bool {
	if !r.bytes.TryAcquire(r.all) {
		return false
	}
	r.bytes.Release(r.all)
	return true
}
