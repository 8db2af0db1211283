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

// maxEventBytes bounds one event. The last one holds the whole job.
const maxEventBytes = maxAnswerBytes

// EventKind is what an Event tells.
type EventKind string

// The kinds of events. Kinds that a later version adds are left out.
const (
	// EventState tells where the job stands: at first, and whenever that changes.
	EventState EventKind = "state"
	// EventStdout and EventStderr tell what the script printed.
	EventStdout EventKind = "stdout"
	EventStderr EventKind = "stderr"
	// EventEnd is the last: the job has ended.
	EventEnd EventKind = "end"
)

// Event is something that happened to a job.
type Event struct {
	Kind EventKind
	// ID is what After takes.
	ID string
	// Status is where the job stands, for EventState.
	Status JobStatus
	// Text is what was printed, for EventStdout and EventStderr.
	Text string
	// Job is the job with its result or failure, for EventEnd.
	Job *Job
}

// WatchOption changes what is watched.
type WatchOption func(*watcher)

// After leaves out what was told up to the event with this ID.
func After(id string) WatchOption { return func(w *watcher) { w.last = id } }

// Watch gives what happens to a job, as it happens, from its beginning to its
// end. A connection that is lost is made again, and nothing is lost or comes
// twice. An error is the last that it gives; a job that failed is none: its
// EventEnd has a Job with a Code.
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

// watcher is one Watch.
type watcher struct {
	client *Client
	id     string
	yield  func(Event, error) bool
	// last is the ID of the last event that was given.
	last string
	// retry is how long the service asked to wait before the next connection; 0 if
	// it did not.
	retry time.Duration
}

func (w *watcher) progress() any        { return w.last }
func (w *watcher) asked() time.Duration { return w.retry }

// connect gives the events of one connection, and why there are no more.
func (w *watcher) connect(ctx context.Context) error {
	get := call{method: http.MethodGet, path: []string{"jobs", w.id, "events"}, header: http.Header{"Accept": {"text/event-stream"}}}
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
		if err := w.give(raw); err != nil {
			return err
		}
	}
	return io.ErrUnexpectedEOF // without the end
}

// give hands one event to the caller.
func (w *watcher) give(raw sse.Event) error {
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
		return badAnswer(err)
	}
	if raw.LastEventID != "" {
		w.last = raw.LastEventID
	}
	if !w.yield(event, nil) || event.Kind == EventEnd {
		return errDone
	}
	return nil
}
