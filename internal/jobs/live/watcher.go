package live

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// watcher is one who watches.
type watcher struct {
	feed     *feed
	position jobs.Position
	// cursor is the last piece of the stream that was looked at.
	cursor string
}

// next gives what is new for the watcher. If nothing is, changed is closed when
// there may be more, or the error says that there will not.
func (w *watcher) next(ctx context.Context) (events []jobs.Event, changed <-chan struct{}, err error) {
	for again := true; again && len(events) == 0 && err == nil; {
		events, changed, again, err = w.look(ctx)
	}
	return events, changed, err
}

// look is next, but for a watcher that is behind, and that has to look again: what it
// read may have been told before, and is perhaps not all.
func (w *watcher) look(ctx context.Context) (events []jobs.Event, changed <-chan struct{}, again bool, err error) {
	f := w.feed
	f.mu.Lock()
	state, end, err, changed, behind := f.state, f.end, f.err, f.changed, after(f.dropped, w.cursor)
	var read []store.Piece
	if !behind {
		read = f.since(w.cursor)
	}
	f.mu.Unlock()
	if behind {
		// Not before the stream has expired, after which the record has it all.
		_, read, err = f.hub.store.Tail(ctx, f.id, w.cursor, behindPieces)
		if err != nil {
			return nil, changed, false, explain(err)
		}
		if len(read) == 0 {
			w.cursor = f.lastDropped()
		}
	}
	if state != "" && !state.Ended() && state != w.position.State && !w.position.Ended() {
		w.position.State = state
		events = append(events, jobs.Event{State: state, Position: w.position})
	}
	for _, piece := range read {
		w.cursor = piece.Cursor
		events = w.add(events, piece.Printed)
	}
	if end != nil && !behind {
		events = w.addEnd(events, end)
	}
	return events, changed, behind, err
}

// add adds what of a piece has not been told.
func (w *watcher) add(events []jobs.Event, piece jobs.Printed) []jobs.Event {
	piece, w.position = w.position.Take(piece)
	if piece.Text == "" {
		return events
	}
	return append(events, jobs.Event{Printed: piece, Position: w.position})
}

// addEnd adds what the record has and was not told, and the end.
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
		events = w.add(events, jobs.Printed{Stream: stream, At: at, Text: text[at:next]})
		at = next
	}
	return events
}

// since gives the pieces of the window after a place. Under the lock.
func (f *feed) since(cursor string) []store.Piece {
	for i, piece := range f.window {
		if after(piece.Cursor, cursor) {
			return append([]store.Piece(nil), f.window[i:]...)
		}
	}
	return nil
}

func (f *feed) lastDropped() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped
}

// after compares places in a stream, which are two numbers each: milliseconds and a
// count. "" is before all.
func after(a, b string) bool {
	aTime, aCount := place(a)
	bTime, bCount := place(b)
	return aTime > bTime || aTime == bTime && aCount > bCount
}

func place(cursor string) (time, count uint64) {
	first, second, _ := strings.Cut(cursor, "-")
	time, _ = strconv.ParseUint(first, 10, 64)
	count, _ = strconv.ParseUint(second, 10, 64)
	return time, count
}
