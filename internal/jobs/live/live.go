// Package live tells what happens to jobs while it happens.
//
// A worker tells what a job prints only from when somebody watches it. It appends
// to a stream in Redis, from the first byte on, and each piece says where in the
// job's output it begins. So a watcher that comes late, comes back, or loses the
// stream reads on from a place in the output (jobs.Position): from the stream, and
// once the job ended from its record, which has all of it.
//
// However many watch a job here, one feed reads for them. It keeps the last pieces;
// a watcher that is further behind reads for itself until it has caught up.
package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

const (
	// maxWatchers bounds how many watch here at once.
	maxWatchers = 2000
	// retryAfterSeconds is what one too many is told.
	retryAfterSeconds = 5
	// recheckInterval is how often a feed looks without having been told to: Pub/Sub
	// may lose messages.
	recheckInterval = time.Second
	// patience bounds one look at a Redis that answers slowly. One that is silent
	// ends it sooner: see redisconn.Monitor.
	patience = 15 * time.Second
	// pieces is how many are read at once.
	pieces = 100
	// behindPieces is the same for a watcher that reads for itself, which holds them
	// while its client reads them: each may have 64 KiB of text.
	behindPieces = 4
	// windowBytes is how much text a feed keeps.
	windowBytes = 256 << 10
	// maxText bounds the text of one event, in bytes.
	maxText = 64 << 10
)

// Hub has the feeds. It is safe for concurrent use. Close must be called.
type Hub struct {
	store  *store.Store
	topics *redisconn.Topics
	logger *slog.Logger

	ctx   context.Context //nolint:containedctx // the feeds' own, ended by Close
	stop  context.CancelFunc
	feeds sync.WaitGroup

	mu       sync.Mutex
	open     map[string]*feed
	watchers int
}

// New makes a hub on topics that the caller keeps, and closes after it.
func New(s *store.Store, topics *redisconn.Topics, logger *slog.Logger) *Hub {
	h := &Hub{store: s, topics: topics, logger: logger, open: map[string]*feed{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Close ends all feeds and waits for that. Watches that go on hear nothing from
// then on.
func (h *Hub) Close() {
	h.mu.Lock()
	h.stop() // no feed begins after that
	h.mu.Unlock()
	h.feeds.Wait()
}

// Watch calls tell with what happened to a job since from, and with what happens,
// up to its end; and with nothing whenever that has not been for idle. It returns
// nil after the end, and else tell's error, ctx's, or one of: CodeNotFound,
// CodeUnavailable before anything was told; CodeNotFound later if the record is gone.
func (h *Hub) Watch(ctx context.Context, id string, from jobs.Position, idle time.Duration, tell func([]jobs.Event) error) error {
	feed, leave, err := h.join(id)
	if err != nil {
		return err
	}
	defer leave()
	w := &watcher{feed: feed, position: from}
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		events, changed, err := w.next(ctx)
		if len(events) > 0 {
			if err := tell(events); err != nil {
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
			if err := tell(nil); err != nil {
				return err
			}
			timer.Reset(idle)
		case <-ctx.Done():
			return ctx.Err()
		case <-h.ctx.Done():
			return unavailable("the server is shutting down")
		}
	}
}

// join gives the job's feed, which it starts if there is none. leave is called once.
func (h *Hub) join(id string) (_ *feed, leave func(), _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers >= maxWatchers || h.ctx.Err() != nil {
		return nil, nil, unavailable("too many clients watch jobs at once")
	}
	h.watchers++
	f := h.open[id]
	if f == nil {
		f = &feed{id: id, hub: h, changed: make(chan struct{})}
		h.open[id] = f
		ctx, stop := context.WithCancel(h.ctx)
		f.stop = stop
		h.feeds.Go(func() { f.run(ctx) })
	}
	f.watchers++
	return f, func() { h.leave(f) }, nil
}

func (h *Hub) leave(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers--
	if f.watchers--; f.watchers == 0 {
		f.stop()
		if h.open[f.id] == f {
			delete(h.open, f.id)
		}
	}
}

// Watchers counts those who watch here.
func (h *Hub) Watchers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watchers
}

func unavailable(message string) *jobs.Error {
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: message, RetryAfterSeconds: retryAfterSeconds}
}

// explain turns the store's errors into those that a client is told.
func explain(err error) error {
	var known *jobs.Error
	if errors.As(err, &known) {
		return known
	}
	told := unavailable("the job could not be read")
	told.Cause = err
	return told
}
