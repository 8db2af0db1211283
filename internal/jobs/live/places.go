package live

import (
	"context"
	"slices"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// place is the place of one watcher. The hub's lock guards it.
type place struct {
	client string
	// holder is the watcher's request; nil if there is none.
	holder membudget.Holder
	stop   context.CancelCauseFunc
	// lost is set once another watcher has taken it.
	lost bool
}

// errDisplaced is the error of a watcher whose place was taken.
var errDisplaced = jobs.Unavailable(
	"too many clients watch jobs at once, and this one has the most watchers; resume after a moment", nil)

// join takes a place and returns the job's feed, which it starts if there is none. The caller sees the job. Call leave
// once.
func (h *Hub) join(caller jobs.Caller, id string, p *place) (*feed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, jobs.Unavailable("the server is shutting down", nil)
	}
	if h.watchers >= maxWatchers && !h.displace(p.client) {
		return nil, jobs.Unavailable("too many clients watch jobs at once; watch this one after a moment", nil)
	}
	h.watchers++
	h.places[p.client] = append(h.places[p.client], p)
	f := h.open[id]
	if f == nil {
		f = &feed{
			id: id, hub: h, client: p.client, caller: caller,
			changed: make(chan struct{}), places: map[*place]struct{}{},
		}
		h.open[id] = f
		ctx, stop := context.WithCancel(h.ctx)
		f.stop = stop
		h.feeds.Go(func() { f.run(ctx) })
	}
	f.places[p] = struct{}{}
	return f, nil
}

func (h *Hub) leave(f *feed, p *place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free(p)
	delete(f.places, p)
	if len(f.places) == 0 {
		f.stop()
		if h.open[f.id] == f {
			delete(h.open, f.id)
		}
	}
}

// free makes a place free, unless another watcher has it already. h.mu is held.
func (h *Hub) free(p *place) {
	if p.lost {
		return
	}
	h.watchers--
	rest := slices.DeleteFunc(h.places[p.client], func(other *place) bool { return other == p })
	if h.places[p.client] = rest; len(rest) == 0 {
		delete(h.places, p.client)
	}
}

// displace frees a place of the client that has the most, unless newcomer would have as many: first that of a watcher
// that does not read. It reports whether it did. h.mu is held.
func (h *Hub) displace(newcomer string) bool {
	most := newcomer
	for client, places := range h.places {
		if len(places) > len(h.places[most]) {
			most = client
		}
	}
	places := h.places[most]
	if len(places) <= len(h.places[newcomer])+1 {
		return false
	}
	i := max(0, slices.IndexFunc(places, func(p *place) bool {
		return p.holder != nil && p.holder.Pace() != membudget.Working
	}))
	p := places[i]
	h.free(p)
	p.lost = true
	p.stop(errDisplaced)
	if p.holder != nil {
		p.holder.Cut()
	}
	return true
}

// Client implements membudget.Holder, for the record that the feed holds for its watchers.
func (f *feed) Client() string { return f.client }

// Pace implements membudget.Holder: it is that of the slowest watcher.
func (f *feed) Pace() membudget.Pace {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	slowest := membudget.Working
	for p := range f.places {
		if p.holder != nil {
			slowest = max(slowest, p.holder.Pace())
		}
	}
	return slowest
}

// Cut implements membudget.Holder: it ends all watchers, who can resume. The ones that read well have left before.
func (f *feed) Cut() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	for p := range f.places {
		p.stop(errCut)
		if p.holder != nil {
			p.holder.Cut()
		}
	}
}

// errCut is the cause of the end of a watch whose memory others waited for.
var errCut = jobs.Unavailable("the events were read too slowly while others waited for memory; resume", nil)
