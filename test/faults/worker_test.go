package faults

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cellblock/test/stack"
)

// killAtStage runs a load and kills worker after worker when each reaches a stage for the nth time. A
// second worker stays alive.
func killAtStage(t *testing.T, slow float64, arm func(w *interceptor, kill func())) {
	t.Helper()
	b := startFixture(t, 1, nil)
	l := startLoad(t.Context(), b, slow)
	var last time.Time
	for range 3 {
		w := newInterceptor(t, b.RedisURL)
		var victim atomic.Pointer[stack.Process]
		dead := make(chan struct{})
		var once atomic.Bool
		arm(w, func() {
			if p := victim.Load(); p != nil && once.CompareAndSwap(false, true) {
				_ = p.Signal(syscall.SIGKILL)
				close(dead)
			}
		})
		w.start()
		victim.Store(b.startWorker(t, b.withRedis(w.url)))
		select {
		case <-dead:
			<-victim.Load().Done()
			last = time.Now()
		case <-time.After(20 * time.Second):
			t.Error("the worker did not reach the stage")
		}
	}
	l.verify(t, b.runs, last, mayLoseNothing)
	l.wantLossesReported(t, last)
}

// wantLossesReported checks how soon the clients of lost jobs learned of the loss.
func (l *load) wantLossesReported(t *testing.T, since time.Time) {
	t.Helper()
	for _, j := range l.jobs {
		if j.code == "worker_lost" && j.known.Sub(since) > lossDeadline {
			t.Errorf("the client of job %d knew after %s", j.number, j.known.Sub(since))
		}
	}
}

// nth returns a predicate that is true from the nth time that is returns true.
func nth(n int64, is func([]byte) bool) func([]byte) bool {
	var seen atomic.Int64
	return func(piece []byte) bool { return is(piece) && seen.Add(1) >= n }
}

func TestWorkerKilledAfterDequeue(t *testing.T) {
	killAtStage(t, 0.02, func(w *interceptor, kill func()) {
		hit := nth(10, isTaken)
		w.reply = func(last, reply []byte) bool {
			if isPoll(last) && hit(reply) {
				kill()
				return false
			}
			return true
		}
	})
}

func TestWorkerKilledBeforeStartClaim(t *testing.T) {
	killAtStage(t, 0.02, func(w *interceptor, kill func()) {
		hit := nth(10, isClaimStart)
		w.request = func(c []byte) bool {
			if hit(c) {
				kill()
				return false
			}
			return true
		}
	})
}

func TestWorkerKilledAfterStartClaim(t *testing.T) {
	killAtStage(t, 0.02, func(w *interceptor, kill func()) {
		hit := nth(10, isClaimStart)
		w.reply = func(last, _ []byte) bool {
			if hit(last) {
				kill()
				return false
			}
			return true
		}
	})
}

func TestWorkerKilledWhileRunning(t *testing.T) {
	killAtStage(t, 0.1, func(w *interceptor, kill func()) {
		hit := nth(10, isClaimStart)
		w.reply = func(last, _ []byte) bool {
			if hit(last) {
				time.AfterFunc(50*time.Millisecond, kill)
			}
			return true
		}
	})
}

func TestWorkerKilledAfterEnd(t *testing.T) {
	killAtStage(t, 0.02, func(w *interceptor, kill func()) {
		hit := nth(10, isEnd)
		w.reply = func(last, _ []byte) bool {
			if hit(last) {
				kill()
				return false
			}
			return true
		}
	})
}

func TestWorkerStoppedForLongerThanItsLease(t *testing.T) {
	b := startFixture(t, 2, nil)
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 50)
	victim := b.Workers()[1]
	_ = victim.Signal(syscall.SIGSTOP)
	start := time.Now()
	time.Sleep(12 * time.Second)
	_ = victim.Signal(syscall.SIGCONT)
	l.verify(t, b.runs, start, mayLoseNothing)
	l.wantLossesReported(t, start)
}

// The dying worker's clock is ahead of the other worker's and of Redis's.
func TestWorkerClockAnHourAhead(t *testing.T) {
	b := startFixture(t, 1, nil)
	late := b.startProgram(t, skewedWorker, b.worker)
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 200)
	late.Kill()
	killed := time.Now()
	l.verify(t, b.runs, killed, mayLoseNothing)
	l.wantLossesReported(t, killed)
}
