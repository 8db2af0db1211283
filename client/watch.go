package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"

	"cellblock/api"
)

// maxEventBytes bounds one event. The end event holds the whole job.
const maxEventBytes = maxResponseBytes

// EventKind is the kind of an Event.
type EventKind string

// The kinds of events. Watch skips kinds that a later version of the service adds.
const (
	// EventState has the job's status. It is sent first, and on every change.
	EventState EventKind = "state"
	// EventStdout and EventStderr have output of the script.
	EventStdout EventKind = "stdout"
	EventStderr EventKind = "stderr"
	// EventEnd is the last event: the job has ended.
	EventEnd EventKind = "end"
)

// Event is something that happened to a job.
type Event struct {
	Kind EventKind
	// ID can be passed to After.
	ID string
	// Status is the job's status, for EventState.
	Status JobStatus
	// Text is the output, for EventStdout and EventStderr.
	Text string
	// Job is the job with its result or failure, for EventEnd.
	Job *Job
}

// WatchOption is an option of Watch.
type WatchOption func(*watcher)

// After skips the events up to and including the one with this ID.
func After(id string) WatchOption { return func(w *watcher) { w.last = id } }

// Watch returns a job's events as they happen, from its beginning to its end. It reconnects if the connection is lost,
// without losing or repeating an event. An error is the last item. A failed job is not an error: the Job of its
// EventEnd has a Code.
func (c *Client) Watch(ctx context.Context, id string, options ...WatchOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{client: c, id: id, yield: yield}
		for _, option := range options {
			option(w)
		}
		if err := c.follow(ctx, w); err != nil {
			yield(Event{}, err)
		}
	}
}

// watcher is the state of one Watch call.
type watcher struct {
	client *Client
	id     string
	yield  func(Event, error) bool
	// last is the ID of the last event that was yielded.
	last string
	// retry is the reconnection delay that the service asked for; 0 if it did not.
	retry time.Duration
}

func (w *watcher) progress() any             { return w.last }
func (w *watcher) retryAfter() time.Duration { return w.retry }

// connect yields the events of one connection and returns the reason that it ended.
func (w *watcher) connect(ctx context.Context) error {
	get := call{
		method: http.MethodGet, path: []string{"jobs", w.id, "events"},
		header: http.Header{"Accept": {"text/event-stream"}},
	}
	if w.last != "" {
		get.header.Set("Last-Event-ID", w.last)
	}
	response, err := w.client.send(ctx, get)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return errDone
	}
	body := io.TeeReader(response.Body, &retryField{found: func(d time.Duration) { w.retry = d }})
	for raw, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: maxEventBytes}) {
		if err != nil {
			return err
		}
		if err := w.yieldEvent(raw); err != nil {
			return err
		}
	}
	return io.ErrUnexpectedEOF // the end event is missing
}

// yieldEvent decodes one event and yields it. It skips unknown kinds.
func (w *watcher) yieldEvent(raw sse.Event) error {
	event := Event{Kind: EventKind(raw.Type), ID: raw.LastEventID}
	var err error
	switch event.Kind {
	case EventState:
		var state api.StateEvent
		err = decode([]byte(raw.Data), &state)
		event.Status = state.Status
	case EventStdout, EventStderr:
		var output api.OutputEvent
		err = decode([]byte(raw.Data), &output)
		event.Text = output.Text
	case EventEnd:
		event.Job = new(Job)
		err = decode([]byte(raw.Data), event.Job)
	default:
		return nil
	}
	if err != nil {
		return badResponse(err)
	}
	if raw.LastEventID != "" {
		w.last = raw.LastEventID
	}
	if !w.yield(event, nil) || event.Kind == EventEnd {
		return errDone
	}
	return nil
}
