package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// Execute handles POST /execute.
func (h *Handler) Execute(w http.ResponseWriter, r *http.Request, params api.ExecuteParams) {
	release, err := h.takeRoom(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer release()
	request, err := h.readRequest(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if h.draining.Err() != nil {
		h.fail(w, r, shuttingDown())
		return
	}
	if request.IdempotencyKey, err = decodeKey(params.IdempotencyKey); err != nil {
		h.fail(w, r, err)
		return
	}
	if request.IdempotencyKey != "" {
		request.Fingerprint = jobs.Fingerprint(&request)
	}
	request.Stored = release
	var prefer preferences
	if params.Prefer != nil {
		prefer = parsePrefer(*params.Prefer, h.syncWait)
	}
	if request.Async {
		prefer.wait = nil
	}
	prefer.setApplied(w)
	if request.Async || prefer.respondAsync && prefer.wait == nil {
		request.Async = true
		h.submit(w, r, request)
		return
	}
	wait := h.syncWait
	if prefer.wait != nil {
		wait = *prefer.wait
	}
	h.executeSync(w, r, request, wait, params.InlineFiles)
}

func (h *Handler) submit(w http.ResponseWriter, r *http.Request, request jobs.Request) {
	x := exchangeOf(r)
	record, err := h.jobs.Submit(r.Context(), request, x.requestID)
	x.jobID = record.ID
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.accepted(w, r, record)
}

// executeSync holds the request until the job has ended or wait has passed since the request
// arrived (for a form: since it was complete).
func (h *Handler) executeSync(w http.ResponseWriter, r *http.Request, request jobs.Request, wait time.Duration, inline *bool) {
	x := exchangeOf(r)
	ctx, stop := h.waiting(r)
	defer stop()
	record, err := h.jobs.Execute(ctx, request, x.requestID, max(0, wait-time.Since(x.waitsFrom())))
	x.jobID = record.ID
	if err != nil && record.ID != "" && r.Context().Err() != nil {
		h.hungUp(r, request, record.ID)
	}
	if err != nil && drained(ctx) {
		record, err = h.standing(r, record)
	}
	defer record.Release()
	switch {
	case errors.Is(err, jobs.ErrNoRoom):
		h.accepted(w, r, record) // the result can be read later
	case err != nil:
		h.fail(w, r, err)
	case !record.State.Ended():
		h.accepted(w, r, record)
	case record.Outcome == nil:
		h.fail(w, r, fmt.Errorf("job %s is %s and has no outcome", record.ID, record.State))
	case record.Outcome.Failure != nil:
		h.jobFailed(w, r, record, inline)
	default:
		h.write(w, r, http.StatusOK, jobBody(record, h.filesBody(r.Context(), record, inline)))
	}
}

// hungUp withdraws an accepted job whose client is gone, if it has not started and the client
// cannot learn its result: without an Idempotency-Key it cannot ask again, and without a webhook
// it is not notified.
func (h *Handler) hungUp(r *http.Request, request jobs.Request, id string) {
	if request.IdempotencyKey != "" || request.WebhookURL != "" {
		h.metrics.ObserveHangUp(false)
		return
	}
	withdrawn, err := h.jobs.Abandon(r.Context(), id)
	if err != nil {
		h.logger.Warn("cannot withdraw the job of a client that hung up", "job_id", id, "error", err)
	}
	h.metrics.ObserveHangUp(withdrawn)
}

// standing returns the current record of a job whose wait was ended by Drain; the client can read
// the rest from another server.
func (h *Handler) standing(r *http.Request, record jobs.Record) (jobs.Record, error) {
	if record.ID == "" {
		return record, shuttingDown()
	}
	if now, err := h.jobs.Get(r.Context(), record.ID, 0); err == nil {
		return now, nil
	}
	return jobs.Record{ID: record.ID, State: jobs.StateQueued}, nil
}

// accepted responds 202 with the job's location.
func (h *Handler) accepted(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	w.Header().Set("Location", "/jobs/"+record.ID)
	w.Header().Set("Retry-After", "1")
	h.write(w, r, http.StatusAccepted, api.Accepted{JobID: record.ID, Status: api.JobStatus(record.State)})
}

// jobFailed responds with the failure of a job, with the status of its code.
func (h *Handler) jobFailed(w http.ResponseWriter, r *http.Request, record jobs.Record, inline *bool) {
	code := record.Outcome.Failure.Code
	setRetryAfter(w, code, 0)
	h.write(w, r, statusOf(code), jobBody(record, h.filesBody(r.Context(), record, inline)))
}

// preferences are the supported ones of the header Prefer (RFC 7240).
type preferences struct {
	respondAsync bool
	// wait is how long the client wants to wait; nil if there is no valid wait.
	wait *time.Duration
}

// parsePrefer reads the header. As in the RFC, unknown or malformed preferences are ignored, and
// the first of several values counts. A wait above most is ignored.
func parsePrefer(header string, most time.Duration) preferences {
	var p preferences
	waitSeen := false
	for _, preference := range splitOutsideQuotes(header, ',') {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async":
			p.respondAsync = p.respondAsync || value == ""
		case "wait":
			if waitSeen {
				continue
			}
			waitSeen = true
			seconds, err := strconv.ParseUint(value, 10, 16)
			if wait := time.Duration(seconds) * time.Second; err == nil && wait <= most {
				p.wait = &wait
			}
		}
	}
	return p
}

// setApplied sets Preference-Applied to the preferences in effect.
func (p preferences) setApplied(w http.ResponseWriter) {
	var applied []string
	if p.respondAsync {
		applied = append(applied, "respond-async")
	}
	if p.wait != nil {
		applied = append(applied, "wait="+strconv.Itoa(int(p.wait.Seconds())))
	}
	if len(applied) > 0 {
		w.Header().Set("Preference-Applied", strings.Join(applied, ", "))
	}
}

// splitOutsideQuotes splits s at each separator outside a quoted string.
func splitOutsideQuotes(s string, separator rune) []string {
	quoted, escaped := false, false
	return strings.FieldsFunc(s, func(c rune) bool {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		}
		return !quoted && c == separator
	})
}
