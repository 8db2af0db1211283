package live

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// feed reads one job for all who watch it here.
type feed struct {
	id   string
	hub  *Hub
	stop context.CancelFunc
	// watchers is under the hub's lock.
	watchers int

	mu sync.Mutex
	// state is "" until the first look.
	state jobs.State
	// window are the last pieces read; dropped is the place of the last one that it
	// has no more, "" if it has all.
	window  []store.Piece
	dropped string
	bytes   int
	// end is set once the job ended and all its pieces were read.
	end *jobs.Record
	// err is why there is nothing, or nothing more.
	err error
	// changed is closed, and replaced, whenever one of these changes.
	changed chan struct{}
}

// run reads until the job ended or its record is gone, and keeps the record until
// ctx ends: when nobody watches any more.
func (f *feed) run(ctx context.Context) {
	f.follow(ctx)
	<-ctx.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != nil {
		f.end.Release()
	}
}

func (f *feed) follow(ctx context.Context) {
	cursor, over := f.look(ctx, "")
	if over {
		return
	}
	// It says so when it is made, so nothing between is missed.
	heard, done := f.hub.topics.Wait(store.EventsKey(f.id))
	defer done()
	ticker := time.NewTicker(recheckInterval)
	defer ticker.Stop()
	for !over {
		select {
		case <-heard:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		cursor, over = f.look(ctx, cursor)
	}
}

// look reads what is new, and reports whether that was all.
func (f *feed) look(ctx context.Context, cursor string) (next string, over bool) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		state, read, err := f.read(bounded, cursor)
		if err != nil {
			return cursor, f.fail(ctx, err)
		}
		f.publish(state, read, nil)
		if len(read) > 0 {
			cursor = read[len(read)-1].Cursor
		}
		if len(read) == pieces {
			continue
		}
		if !state.Ended() {
			return cursor, false
		}
		end, err := f.record(ctx)
		if err != nil {
			return cursor, f.fail(ctx, err)
		}
		f.publish(state, nil, end)
		return cursor, true
	}
}

// read asks for what the job prints, the first time, and reads it.
func (f *feed) read(ctx context.Context, cursor string) (jobs.State, []store.Piece, error) {
	f.mu.Lock()
	known := f.state != ""
	f.mu.Unlock()
	if !known {
		if _, err := f.hub.store.Watch(ctx, f.id); err != nil {
			return "", nil, err
		}
	}
	return f.hub.store.Tail(ctx, f.id, cursor, pieces)
}

func (f *feed) record(ctx context.Context) (*jobs.Record, error) {
	record, err := f.hub.store.Hold(ctx, f.id, patience)
	return &record, err
}

// fail deals with a look that failed, and reports whether there is nothing to be
// looked for any more. What was there once comes back with Redis.
func (f *feed) fail(ctx context.Context, err error) (over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !jobs.IsNotFound(err) && f.state != "" {
		if ctx.Err() == nil {
			f.hub.logger.Debug("a watched job cannot be read", "job_id", f.id, "error", err)
		}
		return false
	}
	f.err = explain(err)
	f.wake()
	return true
}

// publish gives what was read to the watchers.
func (f *feed) publish(state jobs.State, read []store.Piece, end *jobs.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == f.state && len(read) == 0 && end == nil {
		return
	}
	f.state, f.end = state, end
	f.window = append(f.window, read...)
	for _, piece := range read {
		f.bytes += len(piece.Text)
	}
	for f.bytes > windowBytes {
		f.bytes -= len(f.window[0].Text)
		f.dropped = f.window[0].Cursor
		f.window[0] = store.Piece{} // its text is free
		f.window = f.window[1:]
	}
	f.wake()
}

// wake is called under the lock.
func (f *feed) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}
