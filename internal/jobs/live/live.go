// Package live streams the events of jobs while they happen.
//
// A worker publishes a job's output only after the first client watches it. It then appends the output, from the first
// byte, to a stream in Redis; each entry has its offset in the output. So a watcher that starts late, reconnects, or
// loses the stream resumes at an offset (jobs.Position): from the stream, and after the job's end from its record,
// which has the whole output.
//
// One feed reads for all watchers of a job in this process. It keeps the last entries; a watcher that is further behind
// reads by itself until it has caught up.
package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/membudget"
	"cellblock/internal/notify"
)

const (
	// maxWatchers bounds the number of watchers in this process.
	maxWatchers = 2000
	// recheckInterval is how often a feed reads without a message, since Pub/Sub may lose messages.
	recheckInterval = time.Second
	// readTimeout is the timeout of one read from a slow Redis. For one that does not respond at all, redisconn.Monitor
	// fails sooner.
	readTimeout = 15 * time.Second
	// entriesPerRead is the maximum number of entries per read.
	entriesPerRead = 100
	// entriesBehind is the same for a watcher that reads by itself. It holds the entries while its client reads them,
	// and each may have 64 KiB of text.
	entriesBehind = 4
	// windowBytes bounds the text that a feed keeps.
	windowBytes = 256 << 10
	// maxText bounds the text of one event, in bytes.
	maxText = 64 << 10
)

// Hub owns the feeds. It is safe for concurrent use. Call Close when done.
type Hub struct {
	store   *store.Store
	channel *notify.Channel
	logger  *slog.Logger

	ctx   context.Context //nolint:containedctx // the feeds' own, ended by Close
	stop  context.CancelFunc
	feeds sync.WaitGroup

	mu   sync.Mutex
	open map[string]*feed
	// watchers counts the places that are taken, and places has them by client, the oldest first.
	watchers int
	places   map[string][]*place
}

// New returns a hub. channel is the channel of this replica, which the caller listens on.
func New(s *store.Store, channel *notify.Channel, logger *slog.Logger) *Hub {
	h := &Hub{store: s, channel: channel, logger: logger, open: map[string]*feed{}, places: map[string][]*place{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Close stops all feeds and waits for them. Watches in progress return CodeUnavailable.
func (h *Hub) Close() {
	h.mu.Lock()
	h.stop() // no feed starts after that
	h.mu.Unlock()
	h.feeds.Wait()
}

// Watch calls send with the events after from of a job that the caller (jobs.CallerOf) sees, until its end, and with
// nil whenever there was no event for idle. It returns nil after the end, or else send's error, ctx's error, or a
// *jobs.Error: CodeNotFound if the job does not exist or its record is gone, CodeUnavailable if there are too many
// watchers, the job cannot be read, or the hub is closed.
//
// The places are shared between clients (membudget.HolderOf): if all are taken, a new watcher takes one of the client
// that has the most, whose watcher can resume later.
func (h *Hub) Watch(
	ctx context.Context, id string, from jobs.Position, idle time.Duration, send func([]jobs.Event) error,
) error {
	// First of all: feeds are shared, and have what others watch. Who sees all jobs finds out by the feed that there is
	// none, without a round trip of its own.
	if !jobs.CallerOf(ctx).SeesAll() {
		if err := h.find(ctx, id); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	place := &place{holder: membudget.HolderOf(ctx), stop: stop}
	if place.holder != nil {
		place.client = place.holder.Client()
	}
	feed, err := h.join(jobs.CallerOf(ctx), id, place)
	if err != nil {
		return err
	}
	defer h.leave(feed, place)
	err = h.watch(ctx, &watcher{feed: feed, position: from}, idle, send)
	if cause := context.Cause(ctx); errors.Is(cause, errDisplaced) || errors.Is(cause, errCut) {
		return cause
	}
	return err
}

// find returns a *jobs.Error with CodeNotFound unless the caller sees the job, or the error for a job that cannot be
// read.
func (h *Hub) find(ctx context.Context, id string) error {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err := h.store.State(bounded, jobs.CallerOf(ctx), id)
	switch {
	case err == nil:
		return nil
	case jobs.CodeOf(err) == "" && ctx.Err() != nil:
		return ctx.Err()
	default:
		return store.ClientError("the job could not be read", err)
	}
}

// watch is Watch for a watcher that has joined.
func (h *Hub) watch(ctx context.Context, w *watcher, idle time.Duration, send func([]jobs.Event) error) error {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		events, changed, err := w.next(ctx)
		if len(events) > 0 {
			if err := send(events); err != nil {
				return err
			}
			if events[len(events)-1].End != nil {
				return nil
			}
			timer.Reset(idle)
			continue
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-timer.C:
			if err := send(nil); err != nil {
				return err
			}
			timer.Reset(idle)
		case <-ctx.Done():
			return ctx.Err()
		case <-h.ctx.Done():
			return jobs.Unavailable("the server is shutting down", nil)
		}
	}
}
