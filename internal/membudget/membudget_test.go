package membudget_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/membudget"
)

// stalled is a holder whose client makes no progress. Cut releases its memory, as a request that ends does.
type stalled struct {
	client string
	pace   membudget.Pace

	mu      sync.Mutex
	isCut   bool
	release func()
}

func (s *stalled) Client() string       { return s.client }
func (s *stalled) Pace() membudget.Pace { return s.pace }

func (s *stalled) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isCut = true
	go s.release() // the budget is locked
}

func (s *stalled) wasCut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isCut
}

func hold(t *testing.T, b *membudget.Budget, client string, pace membudget.Pace, bytes int64) *stalled {
	t.Helper()
	s := &stalled{client: client, pace: pace}
	release, ok := b.Acquire(membudget.WithHolder(t.Context(), s), bytes)
	if !ok {
		t.Fatalf("no memory for %s", client)
	}
	s.release = release
	return s
}

func acquire(t *testing.T, b *membudget.Budget, client string, bytes int64) (ok bool, took time.Duration) {
	t.Helper()
	began := time.Now()
	release, ok := b.Acquire(membudget.WithHolder(t.Context(), &stalled{client: client}), bytes)
	release()
	return ok, time.Since(began)
}

func TestStalledHolderLosesItsMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		working, idle := hold(t, b, "a", membudget.Working, 50), hold(t, b, "b", membudget.Stalled, 50)
		if ok, took := acquire(t, b, "c", 40); !ok || took > time.Second {
			t.Errorf("got %v after %v", ok, took)
		}
		if working.wasCut() || !idle.wasCut() {
			t.Errorf("cut the working one: %v, the idle one: %v", working.wasCut(), idle.wasCut())
		}
	})
}

// While no request waits, a slow client keeps its memory.
func TestSlowClientsKeepMemoryThatIsNotNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		idle := hold(t, b, "a", membudget.Stalled, 60)
		if ok, _ := acquire(t, b, "b", 40); !ok || idle.wasCut() {
			t.Errorf("got %v, cut %v", ok, idle.wasCut())
		}
	})
}

func TestClientThatHoldsMostIsCutFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		few := hold(t, b, "few", membudget.Stalled, 20)
		many := []*stalled{}
		for range 4 {
			many = append(many, hold(t, b, "many", membudget.Stalled, 20))
		}
		if ok, _ := acquire(t, b, "c", 40); !ok {
			t.Error("no memory")
		}
		cut := 0
		for _, s := range many {
			if s.wasCut() {
				cut++
			}
		}
		if few.wasCut() || cut != 2 {
			t.Errorf("cut few: %v, and %d of many", few.wasCut(), cut)
		}
	})
}

// A client that reads just fast enough, on many connections, leaves a share to others.
func TestMemoryIsSharedBetweenClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		for range 5 {
			hold(t, b, "many", membudget.Waiting, 20)
		}
		if ok, _ := acquire(t, b, "many", 20); ok {
			t.Error("the client that has everything got more")
		}
		if ok, took := acquire(t, b, "other", 20); !ok || took > 3*time.Second {
			t.Errorf("another client: %v after %v", ok, took)
		}
	})
}

// A client whose requests work for long, which are not cut, leaves the rest to others, and waits for its own.
func TestNoClientHoldsMoreThanItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.NewShared(100, 50, 5*time.Second)
		first := hold(t, b, "many", membudget.Working, 30)
		hold(t, b, "many", membudget.Working, 20)
		time.AfterFunc(3*time.Second, first.release)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if ok, took := acquire(t, b, "many", 30); !ok || took != 3*time.Second {
				t.Errorf("of its own: %v after %v", ok, took)
			}
		})
		synctest.Wait()
		if ok, took := acquire(t, b, "other", 60); !ok || took > 0 {
			t.Errorf("another client: %v after %v", ok, took)
		}
		waiting.Wait()
	})
}

// A client that waits for its own share loses its slow requests, and no other does.
func TestShareOfAClientIsTakenFromItsSlowRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.NewShared(100, 50, 5*time.Second)
		slow := []*stalled{hold(t, b, "many", membudget.Stalled, 25), hold(t, b, "many", membudget.Stalled, 25)}
		other := hold(t, b, "other", membudget.Stalled, 30)
		if ok, took := acquire(t, b, "many", 20); !ok || took > time.Second {
			t.Errorf("got %v after %v", ok, took)
		}
		if slow[0].wasCut() == slow[1].wasCut() || other.wasCut() {
			t.Errorf("cut %v and %v, another client's: %v", slow[0].wasCut(), slow[1].wasCut(), other.wasCut())
		}
	})
}

// Of the clients that wait, the one that holds the least is next.
func TestNextIsTheClientThatHoldsLeast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		held := hold(t, b, "many", membudget.Working, 60)
		hold(t, b, "many", membudget.Working, 40)
		order := make(chan string, 3)
		var all sync.WaitGroup
		defer all.Wait()
		for _, client := range []string{"many", "many", "other"} {
			all.Go(func() {
				ctx := membudget.WithHolder(t.Context(), &stalled{client: client})
				if release, ok := b.Acquire(ctx, 60); ok {
					order <- client
					time.Sleep(10 * time.Millisecond)
					release()
				}
			})
			synctest.Wait()
		}
		held.release()
		if first := <-order; first != "other" {
			t.Errorf("%q was first", first)
		}
	})
}

func TestWaitersThatLeaveAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		h := hold(t, b, "a", membudget.Working, 100)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, ok := b.Acquire(ctx, 100); ok {
			t.Error("got what another holds")
		}
		h.release()
		if !b.Idle() {
			t.Error("the waiter that left has memory")
		}
	})
}

func TestTransferPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		transfer := membudget.NewTransfer("a", func(reading bool) {
			if reading {
				t.Error("a write was cut as a read")
			}
			ended++
		})
		want := func(pace membudget.Pace) {
			t.Helper()
			if got := transfer.Pace(); got != pace {
				t.Errorf("got %v, want %v", got, pace)
			}
		}
		want(membudget.Working)
		for range 100 { // 64 KiB in 0.2 s each: fast enough
			transfer.Begin(false)
			time.Sleep(200 * time.Millisecond)
			want(membudget.Waiting)
			transfer.End(membudget.StepBytes)
		}
		time.Sleep(time.Hour) // of its own work
		want(membudget.Working)
		for range 10 { // 1 KiB in 0.9 s each: too slow
			transfer.Begin(false)
			time.Sleep(900 * time.Millisecond)
			transfer.End(1 << 10)
		}
		transfer.Begin(false)
		want(membudget.Stalled)
		transfer.Cut()
		transfer.Cut()
		transfer.End(0)
		if ended != 1 || transfer.Begin(false) || !transfer.WasCut() {
			t.Errorf("ended %d times", ended)
		}
	})
}

// A step without any progress stalls, however fast the client was before.
func TestTransferThatStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transfer := membudget.NewTransfer("a", func(bool) {})
		for range 1000 {
			transfer.Begin(true)
			transfer.End(membudget.StepBytes)
		}
		transfer.Begin(true)
		time.Sleep(1100 * time.Millisecond)
		if got := transfer.Pace(); got != membudget.Stalled {
			t.Errorf("got %v", got)
		}
		transfer.Close()
		transfer.Cut()
		if transfer.WasCut() {
			t.Error("a request that is over was cut")
		}
	})
}

// A request that hangs up while it waits has waited, and was not refused.
func TestStatsCountWaitsAndRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := membudget.New(100, 5*time.Second)
		want := func(used, waits, refusals int64) {
			t.Helper()
			if got := b.Stats(); got != (membudget.Stats{Total: 100, Used: used, Waits: waits, Refusals: refusals}) {
				t.Errorf("got %+v, want %d used, %d waits, %d refusals", got, used, waits, refusals)
			}
		}
		holder := hold(t, b, "a", membudget.Working, 80)
		want(80, 0, 0)
		if ok, _ := acquire(t, b, "b", 30); ok {
			t.Error("got memory that is not there")
		}
		want(80, 1, 1)
		deadline, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok := b.Acquire(deadline, 30); ok {
			t.Error("got memory that is not there")
		}
		want(80, 2, 2)
		hungUp, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		if _, ok := b.Acquire(hungUp, 30); ok {
			t.Error("got memory that is not there")
		}
		want(80, 3, 2)
		time.AfterFunc(time.Second, holder.release)
		if ok, _ := acquire(t, b, "b", 30); !ok {
			t.Error("got no memory")
		}
		want(0, 4, 2)
	})
}
