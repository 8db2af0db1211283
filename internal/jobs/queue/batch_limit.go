package queue

import (
	"sync/atomic"
	"time"
)

// batchLimiter bounds the concurrent jobs of batches of one consumer, so that its other slots are free for single
// jobs, however many and long the batches are. asynq has no such bound: at the limit, their queue is not polled.
type batchLimiter struct {
	limit   int64
	running atomic.Int64
	// left reports that the queue was not polled because the limit was reached.
	left atomic.Bool
	// begun receives a value when a job begins. expected reports that one was fetched and may not have begun; only the
	// fetching goroutine uses it.
	begun    chan struct{}
	expected bool
}

// beginBound bounds the wait for a fetched job to begin. asynq starts a goroutine for it at once; the bound is reached
// only if asynq archives the task instead.
const beginBound = time.Second

func newBatchLimiter(limit int) *batchLimiter {
	return &batchLimiter{limit: int64(max(1, limit)), begun: make(chan struct{}, 1)}
}

// full reports whether no more jobs may be fetched now. Only the fetching goroutine calls it.
func (s *batchLimiter) full() bool {
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
	return s.running.Load() >= s.limit // a job may have ended before left was set
}

// expect records that a job was fetched.
func (s *batchLimiter) expect() {
	select {
	case <-s.begun: // from a job that began after the wait for it
	default:
	}
	s.expected = true
}

func (s *batchLimiter) acquire() {
	s.running.Add(1)
	select {
	case s.begun <- struct{}{}:
	default:
	}
}

// release reports whether the queue must be polled again.
func (s *batchLimiter) release() bool {
	s.running.Add(-1)
	return s.left.Swap(false)
}
