package live

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/membudget"
)

// feed reads one job's events for all of its watchers in this process.
type feed struct {
	id   string
	hub  *Hub
	stop context.CancelFunc
	// client and caller are the first watcher's. Every watcher sees the job: see Hub.Watch.
	client string
	caller jobs.Caller
	// places are those of the watchers; the hub's lock guards them.
	places map[*place]struct{}

	mu sync.Mutex
	// state is "" until the first read.
	state jobs.State
	// window has the last entries read. dropped is the cursor of the last entry removed from it, "" if none was.
	window  []store.StreamEntry
	dropped string
	bytes   int
	// end is set once the job has ended and all its entries were read.
	end *jobs.Record
	// release frees the memory of end. Only the goroutine of run uses it.
	release func()
	// err is why the job cannot be read, or cannot be read any further.
	err error
	// changed is closed and replaced whenever one of these fields changes.
	changed chan struct{}
}

// run reads until the job has ended or its record is gone. It keeps the record until ctx is done, which is when the
// last watcher has left.
func (f *feed) run(ctx context.Context) {
	f.release = func() {}
	f.readAll(ctx)
	<-ctx.Done()
	f.release()
}

func (f *feed) readAll(ctx context.Context) {
	notified, done := f.hub.channel.Wait(store.EventsKey(f.id)) // before the first read, so that no event is missed
	defer done()
	ticker := time.NewTicker(recheckInterval)
	defer ticker.Stop()
	for cursor, over := f.poll(ctx, ""); !over; cursor, over = f.poll(ctx, cursor) {
		select {
		case <-notified:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// poll reads what is new, and reports whether the job has ended and everything was read.
func (f *feed) poll(ctx context.Context, cursor string) (next string, over bool) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
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
		if len(read) == entriesPerRead {
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

// read returns new entries. The first call makes the worker publish the job's output to this replica.
func (f *feed) read(ctx context.Context, cursor string) (jobs.State, []store.StreamEntry, error) {
	f.mu.Lock()
	known := f.state != ""
	f.mu.Unlock()
	if !known {
		if _, err := f.hub.store.Watch(ctx, f.caller, f.id, f.hub.channel.Name); err != nil {
			return "", nil, err
		}
	}
	return f.hub.store.Tail(ctx, f.caller, f.id, cursor, entriesPerRead)
}

func (f *feed) record(ctx context.Context) (*jobs.Record, error) {
	record, release, err := f.hub.store.ReadBudgeted(membudget.WithHolder(ctx, f), f.caller, f.id, readTimeout)
	f.release = release
	return &record, err
}

// fail handles an error of poll, and reports whether reading is over. It is not if the job was read before, since it
// comes back with Redis.
func (f *feed) fail(ctx context.Context, err error) (over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if jobs.CodeOf(err) != jobs.CodeNotFound && f.state != "" {
		if ctx.Err() == nil {
			f.hub.logger.Debug("reading watched job failed", "job_id", f.id, "error", err)
		}
		return false
	}
	f.err = store.ClientError("the job could not be read", err)
	f.wake()
	return true
}

// publish adds what was read to the feed and wakes the watchers.
func (f *feed) publish(state jobs.State, read []store.StreamEntry, end *jobs.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == f.state && len(read) == 0 && end == nil {
		return
	}
	f.state, f.end = state, end
	f.window = append(f.window, read...)
	for _, entry := range read {
		f.bytes += len(entry.Text)
	}
	for f.bytes > windowBytes {
		f.bytes -= len(f.window[0].Text)
		f.dropped = f.window[0].Cursor
		f.window[0] = store.StreamEntry{} // release its text
		f.window = f.window[1:]
	}
	f.wake()
}

// wake wakes the watchers. f.mu is held.
func (f *feed) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}
