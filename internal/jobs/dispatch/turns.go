package dispatch

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// acceptsAtOnce is how many jobs are accepted at once. More at a time makes each
// slower, and none of them is done sooner.
const acceptsAtOnce = 32

// turns has those who come all at once accepted one after the other, and still tells
// within acceptTimeout that Redis is away: it is not while others are accepted.
type turns struct {
	places *semaphore.Weighted
	born   time.Time
	// last is when a job was last accepted: a time.Duration since born.
	last atomic.Int64
}

func newTurns() *turns {
	t := &turns{places: semaphore.NewWeighted(acceptsAtOnce), born: time.Now()}
	t.last.Store(int64(-acceptTimeout))
	return t
}

// take waits for a turn, and gives how long the acceptance may take. Whoever took one
// calls release. It fails with ctx's error, or context.DeadlineExceeded once nobody
// was accepted for acceptTimeout.
func (t *turns) take(ctx context.Context) (patience time.Duration, release func(), err error) {
	if t.places.TryAcquire(1) {
		return acceptTimeout, t.release, nil
	}
	start := time.Now()
	for {
		waiting, cancel := context.WithTimeout(ctx, acceptTimeout)
		err := t.places.Acquire(waiting, 1)
		cancel()
		switch {
		case err == nil && t.moving():
			return acceptTimeout, t.release, nil
		case err == nil:
			return max(acceptTimeout-time.Since(start), 0), t.release, nil
		case ctx.Err() != nil:
			return 0, nil, ctx.Err()
		case !t.moving():
			return 0, nil, context.DeadlineExceeded
		}
	}
}

func (t *turns) release() { t.places.Release(1) }

// moved notes that a job was accepted.
func (t *turns) moved() { t.last.Store(int64(time.Since(t.born))) }

func (t *turns) moving() bool { return time.Since(t.born)-time.Duration(t.last.Load()) < acceptTimeout }
