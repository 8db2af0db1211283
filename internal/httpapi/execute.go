package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
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
		request.Fingerprint = request.Meaning()
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
// cannot learn its result: without an Idempotency-Key it cannot ask again, and without a callback
// it is not notified.
func (h *Handler) hungUp(r *http.Request, request jobs.Request, id string) {
	if request.IdempotencyKey != "" || request.CallbackURL != "" {
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

// takeRoom blocks until there is memory for the body; see room.take.
func (h *Handler) takeRoom(w http.ResponseWriter, r *http.Request) (release func(), err *jobs.Error) {
	most := int64(jobs.MaxRequestBytes)
	if boundary, _ := checkMediaType(r.Header); boundary != "" {
		most = jobs.MaxFormBytes
	}
	if release, err = h.room.take(r, most); err != nil {
		w.Header().Set("Connection", "close") // the body is not read
	}
	return release, err
}

// readRequest reads and checks the body.
func (h *Handler) readRequest(w http.ResponseWriter, r *http.Request) (request jobs.Request, err *jobs.Error) {
	boundary, err := checkMediaType(r.Header)
	switch {
	case err != nil:
		return request, err
	case boundary != "":
		var parts []jobs.FormPart
		if parts, err = readForm(w, r, boundary); err == nil {
			request, err = jobs.DecodeForm(parts)
		}
	default:
		var body []byte
		if body, err = readBody(w, r, jobs.MaxRequestBytes, jobs.JSONTooLarge); err == nil {
			request, err = jobs.DecodeRequest(body)
		}
	}
	if err == nil {
		err = h.checkRequest(request)
	}
	return request, err
}

// checkRequest returns an error for a well-formed request that exceeds the limits of this service
// or asks for a callback that it cannot send.
func (h *Handler) checkRequest(request jobs.Request) *jobs.Error {
	if err := request.CheckStartWithin(h.latest); err != nil {
		return err
	}
	if err := request.Inputs.CheckLimits(h.limits); err != nil || request.CallbackURL == "" {
		return err
	}
	if h.callback == nil {
		return jobs.Errorf(jobs.CodeInvalidRequest, `"callback_url" cannot be used here: this service has nothing to sign its messages with (CALLBACK_SECRET)`)
	}
	return h.callback(request.CallbackURL)
}

// checkMediaType returns the boundary if the body is a form, "" if it is plain JSON in UTF-8, and
// an error otherwise.
func checkMediaType(header http.Header) (boundary string, err *jobs.Error) {
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the body must not be compressed; send it without Content-Encoding")
	}
	given := header.Get("Content-Type")
	mediaType, params, parseErr := mime.ParseMediaType(given)
	switch charset := params["charset"]; {
	case given == "":
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "a Content-Type is needed; with curl: -H 'Content-Type: application/json'")
	case parseErr == nil && mediaType == "multipart/form-data" && params["boundary"] != "":
		return params["boundary"], nil
	case parseErr != nil || mediaType != "application/json":
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the Content-Type must be application/json (or multipart/form-data, with a boundary), not %.100q; with curl: -H 'Content-Type: application/json'", given)
	case !isUTF8(charset):
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the charset must be utf-8, not %.100q; with curl: -H 'Content-Type: application/json'", charset)
	}
	return "", nil
}

// isUTF8 reports whether a charset is UTF-8 or a subset of it, in any spelling.
func isUTF8(charset string) bool {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(charset)) {
	case "", "utf8", "unicode11utf8", "csutf8", "usascii", "ascii":
		return true
	default:
		return false
	}
}

// readBody reads the whole body, of at most bound bytes; the server limits the time. tooLarge
// returns the error for a larger body, given the part that arrived.
func readBody(w http.ResponseWriter, r *http.Request, bound int64, tooLarge func(beginning []byte) *jobs.Error) ([]byte, *jobs.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(r.Body), bound))
	if err == nil {
		return body, nil
	}
	if overBound(w, r, bound, err) {
		return nil, tooLarge(body)
	}
	return nil, &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the body did not arrive whole and in time", Cause: err}
}

// overBound reports whether reading the body failed with err because it has more than bound bytes,
// and prepares the connection for the response. The body has been read up to the bound, so that the
// response can name the part that is too large.
func overBound(w http.ResponseWriter, r *http.Request, bound int64, err error) bool {
	w.Header().Set("Connection", "close") // the rest of the body is not read
	var tooMuch *http.MaxBytesError
	if !errors.As(err, &tooMuch) && r.ContentLength <= bound {
		return false
	}
	// Read some of the rest: a client that is still sending would otherwise lose the response with
	// its connection.
	_, _ = io.CopyN(io.Discard, r.Body, 2*bound)
	return true
}
