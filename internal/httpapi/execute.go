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
	"cellblock/internal/membudget"
)

// Execute handles POST /execute.
func (h *Handler) Execute(w http.ResponseWriter, r *http.Request, params api.ExecuteParams) {
	maxSize := int64(jobs.MaxRequestBytes)
	if boundary, _ := checkMediaType(r.Header); boundary != "" {
		maxSize = jobs.MaxFormBytes
	}
	release, err := h.bodies.acquire(w, r, maxSize)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	defer release()
	request, err := h.readRequest(w, r)
	if err != nil {
		release()
		h.writeError(w, r, err)
		return
	}
	if h.draining.Err() != nil {
		h.writeError(w, r, drainError())
		return
	}
	if request.IdempotencyKey, err = decodeIdempotencyKey(params.IdempotencyKey); err != nil {
		h.writeError(w, r, err)
		return
	}
	if request.IdempotencyKey != "" {
		request.Fingerprint = jobs.Fingerprint(&request)
	}
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
	h.executeSync(w, r, request, wait, params.InlineFiles, release)
}

// submit accepts the job and responds without waiting for its end.
func (h *Handler) submit(w http.ResponseWriter, r *http.Request, request jobs.Request) {
	state := requestStateOf(r)
	record, err := h.jobs.Submit(r.Context(), request, state.requestID)
	state.jobID = record.ID
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	h.respondAccepted(w, r, record)
}

// executeSync holds the request until the job has ended or wait has passed since the request arrived (for a form: since
// it was complete). stored releases the memory of the body.
func (h *Handler) executeSync(
	w http.ResponseWriter, r *http.Request, request jobs.Request, wait time.Duration, inline *bool, stored func(),
) {
	state := requestStateOf(r)
	ctx, stop := h.waitContext(r)
	defer stop()
	wait = max(0, wait-time.Since(state.waitStart()))
	// Execute stores the inputs; nothing after it uses the request, whose memory would stay for the wait.
	findable := request.IdempotencyKey != "" || request.WebhookURL != ""
	record, release, err := h.jobs.Execute(ctx, request, state.requestID, wait, stored)
	state.jobID = record.ID
	if err != nil && record.ID != "" && r.Context().Err() != nil {
		h.handleHangUp(r, findable, record.ID)
	}
	if err != nil && endedByDrain(ctx) {
		record, release, err = h.currentRecord(r, record)
	}
	defer release()
	switch {
	case errors.Is(err, membudget.ErrExhausted):
		h.respondAccepted(w, r, record) // the result can be read later
	case err != nil:
		h.writeError(w, r, err)
	case !record.State.Ended():
		h.respondAccepted(w, r, record)
	case record.Outcome == nil:
		h.writeError(w, r, fmt.Errorf("job %s is %s and has no outcome", record.ID, record.State))
	case record.Outcome.Failure != nil:
		h.respondFailed(w, r, record, inline)
	default:
		h.writeJSON(w, r, http.StatusOK, jobBody(record, h.filesBody(r.Context(), record, inline)))
	}
}

// handleHangUp withdraws an accepted job whose client has disconnected, if the job has not started and the client
// cannot find its result: without an Idempotency-Key it cannot repeat the request, and without a webhook it is not
// notified.
func (h *Handler) handleHangUp(r *http.Request, findable bool, id string) {
	if findable {
		h.metrics.ObserveHangUp(false)
		return
	}
	withdrawn, err := h.jobs.Abandon(r.Context(), id)
	if err != nil {
		h.logger.WarnContext(r.Context(), "cannot withdraw job after hang-up", "job_id", id, "error", err)
	}
	h.metrics.ObserveHangUp(withdrawn)
}

// currentRecord returns the current record of a job whose wait Drain has ended, or CodeUnavailable if no job was
// accepted. The client reads the job's end from another server.
func (h *Handler) currentRecord(r *http.Request, record jobs.Record) (jobs.Record, func(), error) {
	if record.ID == "" {
		return record, func() {}, drainError()
	}
	if current, release, err := h.jobs.Get(r.Context(), record.ID, 0); err == nil {
		return current, release, nil
	}
	return jobs.Record{ID: record.ID, State: jobs.StateQueued}, func() {}, nil
}

// respondAccepted responds 202 with the job's location.
func (h *Handler) respondAccepted(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	w.Header().Set("Location", "/jobs/"+record.ID)
	w.Header().Set("Retry-After", "1")
	h.writeJSON(w, r, http.StatusAccepted, api.Accepted{JobID: record.ID, Status: api.JobStatus(record.State)})
}

// respondFailed responds with a job that failed; the status is that of the failure's code.
func (h *Handler) respondFailed(w http.ResponseWriter, r *http.Request, record jobs.Record, inline *bool) {
	code := record.Outcome.Failure.Code
	requestStateOf(r).audit.SetOutcome(string(code))
	setRetryAfter(w, code, 0)
	h.writeJSON(w, r, statusOf(code), jobBody(record, h.filesBody(r.Context(), record, inline)))
}

// preferences are the supported preferences of the header Prefer (RFC 7240).
type preferences struct {
	respondAsync bool
	// wait is how long the client wants to wait; nil if there is no valid wait.
	wait *time.Duration
}

// parsePrefer parses the header Prefer. It ignores unknown and malformed preferences, and a wait above maxWait. The
// first of several values counts (RFC 7240).
func parsePrefer(header string, maxWait time.Duration) preferences {
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
			if wait := time.Duration(seconds) * time.Second; err == nil && wait <= maxWait {
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
