// Package membudget limits the memory held by large requests and results, and shares it between clients.
//
// A client whose request holds memory decides how long it holds it: it may send its body slowly, or not read its
// response. So a request that is too slow is ended when another one waits for its memory, first one of the client that
// holds the most.
package membudget

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrExhausted is the cause of an error for which a budget had no bytes left in time.
var ErrExhausted = errors.New("memory budget exhausted")

const (
	// checkInterval is how often a waiting request looks for holders that are too slow.
	checkInterval = 100 * time.Millisecond
	// shareWait is how long a request waits until a client that holds more than its own loses memory that it uses,
	// and shareHold is for how long a holder keeps its memory in any case.
	shareWait = time.Second
	shareHold = 2 * time.Second
)

// Budget limits the memory held by large data: acquire bytes before allocating them. It is safe for concurrent use.
type Budget struct {
	total    int64
	patience time.Duration
	// share is the most that one client may hold.
	share int64

	mu   sync.Mutex
	free int64
	// held is the number of bytes that each client holds; a client without any has no entry.
	held  map[string]int64
	holds map[*hold]struct{}
	// waiting has the waiting requests of each client, in the order of their arrival.
	waiting map[string][]*waiter
	arrived int64
	checked time.Time
	// waits and refusals are those of Stats.
	waits, refusals int64
}

// Stats is how a budget is used.
type Stats struct {
	// Total is its size, and Used what is acquired of it, in bytes.
	Total, Used int64
	// Waits counts the calls of Acquire that had to wait, and Refusals those that timed out.
	Waits, Refusals int64
}

// Stats returns how the budget is used, and has been since New.
func (b *Budget) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Stats{Total: b.total, Used: b.total - b.free, Waits: b.waits, Refusals: b.refusals}
}

// hold is memory that a request has acquired.
type hold struct {
	holder Holder
	client string
	bytes  int64
	since  time.Time
	// cut is set once Holder.Cut was called.
	cut bool
}

// waiter is a request that waits for memory. hold is set, and granted closed, once it has it.
type waiter struct {
	want    hold
	number  int64
	granted chan struct{}
	hold    *hold
}

// New returns a budget of total bytes. Acquire blocks for at most patience.
func New(total int64, patience time.Duration) *Budget { return NewShared(total, total, patience) }

// NewShared is New for a budget of which one client may hold at most share bytes. It is for holders that work for long:
// they are not cut, so that one client could keep everything from the others.
func NewShared(total, share int64, patience time.Duration) *Budget {
	return &Budget{
		total: total, share: share, patience: patience, free: total,
		held: map[string]int64{}, holds: map[*hold]struct{}{}, waiting: map[string][]*waiter{},
	}
}

// Acquire blocks until that many bytes are free, capped at one client's share. Of the clients that wait, the one that
// holds the least is next. The caller calls release once it no longer holds the bytes; further calls do nothing.
// Acquire reports false on timeout or when ctx is done.
//
// The bytes belong to the Holder in ctx, which is cut if others wait and it is too slow. Without one they are kept
// until release.
func (b *Budget) Acquire(ctx context.Context, bytes int64) (release func(), ok bool) {
	if ctx.Err() != nil {
		return func() {}, false
	}
	want := hold{holder: HolderOf(ctx), bytes: min(bytes, b.share), since: time.Now()}
	if want.holder != nil {
		want.client = want.holder.Client()
	}
	w := b.enqueue(want)
	if b.await(ctx, w) {
		return sync.OnceFunc(func() { b.release(w.hold) }), true
	}
	return func() {}, false
}

// Idle reports whether no bytes are acquired.
func (b *Budget) Idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free == b.total
}

// enqueue adds a waiter, and grants what is free.
func (b *Budget) enqueue(want hold) *waiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived++
	w := &waiter{want: want, number: b.arrived, granted: make(chan struct{})}
	b.waiting[want.client] = append(b.waiting[want.client], w)
	b.grant()
	if w.hold == nil {
		b.waits++
	}
	return w
}

// await blocks until w has its memory. It reports false on timeout or when ctx is done; w no longer waits then.
func (b *Budget) await(ctx context.Context, w *waiter) bool {
	select {
	case <-w.granted:
		return true
	default:
	}
	of := ctx
	ctx, cancel := context.WithTimeout(of, b.patience)
	defer cancel()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		b.cutSlow()
		select {
		case <-w.granted:
			return true
		case <-ticker.C:
		case <-ctx.Done():
			return !b.leave(w, !errors.Is(of.Err(), context.Canceled))
		}
	}
}

// leave removes a waiter, and reports whether it was still waiting. isTimeout is whether it waited for too long; else
// the request is over.
func (b *Budget) leave(w *waiter, isTimeout bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.hold != nil {
		return false
	}
	if isTimeout {
		b.refusals++
	}
	b.remove(w)
	b.grant() // one behind it may fit
	return true
}

func (b *Budget) remove(w *waiter) {
	rest := slices.DeleteFunc(b.waiting[w.want.client], func(other *waiter) bool { return other == w })
	if b.waiting[w.want.client] = rest; len(rest) == 0 {
		delete(b.waiting, w.want.client)
	}
}

func (b *Budget) release(h *hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.holds, h)
	b.free += h.bytes
	if b.held[h.client] -= h.bytes; b.held[h.client] == 0 {
		delete(b.held, h.client)
	}
	b.grant()
}

// overShare returns by how many bytes the first waiter of a client would exceed the client's share. Where the share is
// the total, it waits like all others, so that no smaller one overtakes it for ever.
func (b *Budget) overShare(client string) int64 {
	if b.share == b.total {
		return 0
	}
	return max(0, b.held[client]+b.waiting[client][0].want.bytes-b.share)
}

// next returns the waiter that is next: the first one of the client that holds the least, and whose share suffices. It
// is nil if none is.
func (b *Budget) next() *waiter {
	var first *waiter
	for client, queue := range b.waiting {
		if b.overShare(client) > 0 {
			continue
		}
		w := queue[0]
		if first == nil || cmp.Or(
			cmp.Compare(b.held[client], b.held[first.want.client]), cmp.Compare(w.number, first.number)) < 0 {
			first = w
		}
	}
	return first
}

// grant lets the next waiters have their memory while it suffices. One that needs much is not overtaken for ever.
func (b *Budget) grant() {
	for w := b.next(); w != nil && w.want.bytes <= b.free; w = b.next() {
		b.remove(w)
		h := w.want
		h.since = time.Now()
		b.free -= h.bytes
		b.held[h.client] += h.bytes
		b.holds[&h] = struct{}{}
		w.hold = &h
		close(w.granted)
	}
}

// cutSlow ends holders for which others wait: those that are too slow, and if that is not enough for the next waiter,
// those of a client that holds more than the waiter's own would.
func (b *Budget) cutSlow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.checked) < checkInterval/2 {
		return // the waiters share the checks
	}
	b.checked = now
	b.cutOwn()
	next := b.next()
	if next == nil {
		return
	}
	missing := -b.free
	for client, queue := range b.waiting {
		if b.overShare(client) > 0 {
			continue
		}
		for _, w := range queue {
			missing += w.want.bytes
		}
	}
	var slow, busy []*hold
	for h := range b.holds {
		switch {
		case h.cut:
			missing -= h.bytes
			next = nil // its place comes free soon
		case h.holder == nil:
		case h.holder.Pace() == Stalled:
			slow = append(slow, h)
		case h.holder.Pace() == Waiting && now.Sub(h.since) >= shareHold:
			busy = append(busy, h)
		}
	}
	if cut := b.cut(slow, missing); cut || next == nil || now.Sub(next.want.since) < shareWait {
		return
	}
	over := func(h *hold) bool {
		return b.held[h.client]-h.bytes >= b.held[next.want.client]+next.want.bytes && h.client != next.want.client
	}
	b.cut(slices.DeleteFunc(busy, func(h *hold) bool { return !over(h) }), next.want.bytes-b.free)
}

// cutOwn ends those holders of clients without a share left that are too slow.
func (b *Budget) cutOwn() {
	for client := range b.waiting {
		missing := b.overShare(client)
		if missing == 0 {
			continue
		}
		var slow []*hold
		for h := range b.holds {
			switch {
			case h.client != client:
			case h.cut:
				missing -= h.bytes
			case h.holder != nil && h.holder.Pace() == Stalled:
				slow = append(slow, h)
			}
		}
		b.cut(slow, missing)
	}
}

// cut ends holders until that many bytes will be free, those of the client that holds the most first. It reports
// whether it ended any.
func (b *Budget) cut(holds []*hold, bytes int64) bool {
	held := map[string]int64{}
	for _, h := range holds {
		held[h.client] = b.held[h.client]
	}
	ended := false
	for ; bytes > 0 && len(holds) > 0; ended = true {
		i := 0
		for j, h := range holds {
			if cmp.Or(cmp.Compare(held[holds[i].client], held[h.client]), h.since.Compare(holds[i].since)) < 0 {
				i = j
			}
		}
		h := holds[i]
		h.cut = true
		h.holder.Cut()
		held[h.client] -= h.bytes
		bytes -= h.bytes
		holds = slices.Delete(holds, i, i+1)
	}
	return ended
}
