package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// retryMS is the SSE reconnection delay, in milliseconds.
const retryMS = "1000"

// Live streams the events of jobs as they happen.
type Live interface {
	// Watch calls send with the events of a job since from, then with each new one up to the end, and without events
	// each time none arrives within idle. It returns nil after the end; otherwise send's error, ctx's error,
	// CodeNotFound or CodeUnavailable.
	Watch(ctx context.Context, id string, from jobs.Position, idle time.Duration, send func([]jobs.Event) error) error
}

// WatchJob handles GET /jobs/{id}/events.
func (h *Handler) WatchJob(w http.ResponseWriter, r *http.Request, id api.JobID, params api.WatchJobParams) {
	id, ok := jobs.ParseID(id)
	if !ok {
		h.writeError(w, r, jobs.NotFound("job"))
		return
	}
	requestStateOf(r).jobID = id
	var from jobs.Position
	if params.LastEventID != nil && *params.LastEventID != "" {
		var err error
		if from, err = jobs.ParsePosition(*params.LastEventID); err != nil {
			h.writeError(w, r, err)
			return
		}
	}
	ctx, stop := h.readContext(r)
	defer stop()
	if r.Method == http.MethodHead || from.Ended() {
		h.describeEvents(w, r, id, from)
		return
	}
	stream := &eventStream{handler: h, w: w, r: r}
	err := h.live.Watch(ctx, id, from, heartbeat, stream.send)
	switch {
	case err == nil:
	case requestStateOf(r).status != 0:
		h.logger.DebugContext(r.Context(), "event stream aborted", "job_id", id, "error", err)
	case endedByDrain(ctx):
		h.writeError(w, r, drainError())
	default:
		h.writeError(w, r, orUnauthorized(ctx, err))
	}
}

// describeEvents responds without events: 204 if from is the position after the end, otherwise the headers of a stream.
func (h *Handler) describeEvents(w http.ResponseWriter, r *http.Request, id string, from jobs.Position) {
	if _, err := h.jobs.Describe(r.Context(), id, 0); err != nil {
		h.writeError(w, r, err)
		return
	}
	if from.Ended() {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
}

// eventStream writes server-sent events.
type eventStream struct {
	handler *Handler
	w       http.ResponseWriter
	r       *http.Request
}

// send writes events; without any it writes a comment, which keeps the connection alive.
func (s *eventStream) send(events []jobs.Event) error {
	var text bytes.Buffer
	if beginStream(s.w, s.r, "text/event-stream") {
		text.WriteString("retry: " + retryMS + "\n\n")
	}
	if len(events) == 0 {
		text.WriteString(": still here\n\n")
	}
	for _, event := range events {
		name, data, release, err := s.encode(event)
		if err == nil {
			text.WriteString("event: " + name + "\nid: " + event.Position.String() + "\ndata: ")
			err = s.write(&text, data)
		}
		release()
		if err != nil {
			return err
		}
	}
	return flush(s.w, text.Bytes())
}

// write appends an event's data to text and ends the event. Large data goes to the client directly, so that no copy of
// it is held for a slow client.
func (s *eventStream) write(text *bytes.Buffer, data []byte) error {
	if text.Len()+len(data) < maxChunk {
		text.Write(data)
		text.WriteString("\n\n")
		return nil
	}
	if _, err := s.w.Write(text.Bytes()); err != nil {
		return err
	}
	text.Reset()
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return flush(s.w, []byte("\n\n"))
}

// encode returns an event's name and its data, which is valid until release.
func (s *eventStream) encode(event jobs.Event) (name string, data []byte, release func(), err error) {
	release = func() {}
	switch {
	case event.End != nil:
		name = "end"
		data, release, err = s.handler.endCache.get(event.End, func() ([]byte, error) {
			return encodeLine(jobBody(*event.End, s.handler.filesBody(s.r.Context(), *event.End, nil)))
		})
	case event.State != "":
		name = "state"
		data, err = encodeLine(api.StateEvent{JobID: requestStateOf(s.r).jobID, Status: api.JobStatus(event.State)})
	default:
		name = string(event.Output.Stream)
		data, err = encodeLine(api.OutputEvent{Text: event.Output.Text})
	}
	return name, data, release, err
}
