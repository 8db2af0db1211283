package queue

import (
	"sync/atomic"
	"time"
)

// share bounds how many jobs of batches one consumer has at work, so that the rest
// of its places are free for single jobs, however many and long the batches are.
// asynq knows no such bound: what is beyond it is not looked for.
type share struct {
	limit   int64
	running atomic.Int64
	// left tells that the queue was not looked into because the share was taken.
	left atomic.Bool
	// begun gets a value when a job begins. expected tells that one was taken from
	// the queue and may not have begun; only the goroutine that fetches uses it.
	begun    chan struct{}
	expected bool
}

// beginBound is how long a job that was taken may take to begin. asynq starts a
// goroutine for it at once; it is passed only if it sets the task aside instead.
const beginBound = time.Second

func newShare(limit int) *share {
	return &share{limit: int64(max(1, limit)), begun: make(chan struct{}, 1)}
}

// taken reports whether no more may be taken now. The goroutine that fetches asks.
func (s *share) taken() bool {
	if s.expected {
		timer := time.NewTimer(beginBound)
		defer timer.Stop()
		select {
		case <-s.begun:
		case <-timer.C:
		}
		s.expected = false
	}
	if s.running.Load() < s.limit {
		return false
	}
	s.left.Store(true)
	return s.running.Load() >= s.limit // one may have ended before it could see that
}

// expect notes that a job was taken.
func (s *share) expect() {
	select {
	case <-s.begun: // of one that began too late to be waited for
	default:
	}
	s.expected = true
}

func (s *share) begin() {
	s.running.Add(1)
	select {
	case s.begun <- struct{}{}:
	default:
	}
}

// end reports whether somebody should look into the queue again.
func (s *share) end() bool {
	s.running.Add(-1)
	return s.left.Swap(false)
}
