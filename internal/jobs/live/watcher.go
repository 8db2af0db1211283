package live

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// watcher is one watch of a job.
type watcher struct {
	feed     *feed
	position jobs.Position
	// cursor is the last entry of the stream that it has read.
	cursor string
}

// next returns the new events. If there are none, changed is closed when there may be more, or err is set if there
// will be none.
func (w *watcher) next(ctx context.Context) (events []jobs.Event, changed <-chan struct{}, err error) {
	for again := true; again && len(events) == 0 && err == nil; {
		events, changed, again, err = w.poll(ctx)
	}
	return events, changed, err
}

// poll is next without a loop. again is true for a watcher that is behind: the entries that it read may be before its
// position, and there may be more.
func (w *watcher) poll(ctx context.Context) (events []jobs.Event, changed <-chan struct{}, again bool, err error) {
	f := w.feed
	f.mu.Lock()
	state, end, err, changed, behind := f.state, f.end, f.err, f.changed, after(f.dropped, w.cursor)
	var read []store.StreamEntry
	if !behind {
		read = f.since(w.cursor)
	}
	f.mu.Unlock()
	if behind {
		// An expired stream returns no entries; the record then has everything.
		_, read, err = f.hub.store.Tail(ctx, f.caller, f.id, w.cursor, entriesBehind)
		if err != nil {
			return nil, changed, false, store.ClientError("the job could not be read", err)
		}
		if len(read) == 0 {
			w.cursor = f.lastDropped()
		}
	}
	if state != "" && !state.Ended() && state != w.position.State && !w.position.Ended() {
		w.position.State = state
		events = append(events, jobs.Event{State: state, Position: w.position})
	}
	for _, entry := range read {
		w.cursor = entry.Cursor
		events = w.add(events, entry.OutputChunk)
	}
	if end != nil && !behind {
		events = w.addEnd(events, end)
	}
	return events, changed, behind, err
}

// add appends the part of a chunk that is after the position.
func (w *watcher) add(events []jobs.Event, chunk jobs.OutputChunk) []jobs.Event {
	chunk, w.position = w.position.Advance(chunk)
	if chunk.Text == "" {
		return events
	}
	return append(events, jobs.Event{Output: chunk, Position: w.position})
}

// addEnd appends the part of the record's output that is after the position, and the end.
func (w *watcher) addEnd(events []jobs.Event, end *jobs.Record) []jobs.Event {
	if end.Outcome != nil {
		events = w.addText(events, jobs.Stdout, end.Outcome.Stdout)
		events = w.addText(events, jobs.Stderr, end.Outcome.Stderr)
	}
	w.position.State = end.State
	return append(events, jobs.Event{End: end, Position: w.position})
}

func (w *watcher) addText(events []jobs.Event, stream jobs.Stream, text string) []jobs.Event {
	for at := 0; at < len(text); {
		next := min(len(text), at+maxText)
		for next < len(text) && !utf8.RuneStart(text[next]) {
			next--
		}
		events = w.add(events, jobs.OutputChunk{Stream: stream, Offset: at, Text: text[at:next]})
		at = next
	}
	return events
}

// since returns the entries of the window after cursor. f.mu is held.
func (f *feed) since(cursor string) []store.StreamEntry {
	for i, entry := range f.window {
		if after(entry.Cursor, cursor) {
			return append([]store.StreamEntry(nil), f.window[i:]...)
		}
	}
	return nil
}

func (f *feed) lastDropped() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped
}

// after compares two cursors, each a time in milliseconds and a count. "" is before all others.
func after(a, b string) bool {
	aTime, aCount := splitCursor(a)
	bTime, bCount := splitCursor(b)
	return aTime > bTime || aTime == bTime && aCount > bCount
}

func splitCursor(cursor string) (time, count uint64) {
	first, second, _ := strings.Cut(cursor, "-")
	time, _ = strconv.ParseUint(first, 10, 64)
	count, _ = strconv.ParseUint(second, 10, 64)
	return time, count
}
