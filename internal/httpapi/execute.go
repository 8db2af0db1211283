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

// Execute answers POST /execute.
func (h *Handler) Execute(w http.ResponseWriter, r *http.Request, params api.ExecuteParams) {
	release, err := h.takeRoom(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer release()
	request, raw, body, err := h.readRequest(w, r)
	if err != nil {
		h.failWith(w, r, err, body)
		return
	}
	if h.draining.Err() != nil {
		h.fail(w, r, shuttingDown())
		return
	}
	if request.IdempotencyKey, request.Fingerprint, err = decodeIdempotency(params.IdempotencyKey, raw); err != nil {
		h.fail(w, r, err)
		return
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

// executeSync holds the request until the job ended, or for wait since the
// request's arrival (of a form: since it was there whole).
func (h *Handler) executeSync(w http.ResponseWriter, r *http.Request, request jobs.Request, wait time.Duration, inline *bool) {
	x := exchangeOf(r)
	ctx, stop := h.waiting(r)
	defer stop()
	record, err := h.jobs.Execute(ctx, request, x.requestID, max(0, wait-time.Since(x.waitsFrom())))
	x.jobID = record.ID
	if err != nil && drained(ctx) {
		record, err = h.standing(r, record)
	}
	defer record.Release()
	switch {
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

// standing gives where a job stands whose wait was ended by Drain; its client
// can read the rest from another server.
func (h *Handler) standing(r *http.Request, record jobs.Record) (jobs.Record, error) {
	if record.ID == "" {
		return record, shuttingDown()
	}
	if now, err := h.jobs.Get(r.Context(), record.ID, 0); err == nil {
		return now, nil
	}
	return jobs.Record{ID: record.ID, State: jobs.StateQueued}, nil
}

// accepted answers 202 with where the job can be read.
func (h *Handler) accepted(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	w.Header().Set("Location", "/jobs/"+record.ID)
	w.Header().Set("Retry-After", "1")
	h.write(w, r, http.StatusAccepted, api.Accepted{JobID: record.ID, Status: api.JobStatus(record.State)})
}

// jobFailed answers with the failure of a job that ended, under its code's status.
func (h *Handler) jobFailed(w http.ResponseWriter, r *http.Request, record jobs.Record, inline *bool) {
	code := record.Outcome.Failure.Code
	setRetryAfter(w, code, 0)
	h.write(w, r, statusOf(code), jobBody(record, h.filesBody(r.Context(), record, inline)))
}

// takeRoom waits until the body may be read; see room.take.
func (h *Handler) takeRoom(w http.ResponseWriter, r *http.Request) (release func(), err *jobs.Error) {
	most := int64(jobs.MaxRequestBytes)
	if boundary, _ := checkMediaType(r.Header); boundary != "" {
		most = jobs.MaxFormBytes
	}
	if release, err = h.room.take(r, most); err != nil {
		w.Header().Set("Connection", "close") // nobody reads the body
	}
	return release, err
}

// readRequest reads and checks the body, and gives what stands for it as a
// whole too. With an error comes what else its answer should say.
func (h *Handler) readRequest(w http.ResponseWriter, r *http.Request) (jobs.Request, []byte, api.Error, *jobs.Error) {
	boundary, err := checkMediaType(r.Header)
	if err != nil {
		return jobs.Request{}, nil, api.Error{}, err
	}
	var request jobs.Request
	var body []byte
	if boundary != "" {
		var parts []jobs.FormPart
		if parts, body, err = readForm(w, r, boundary); err != nil {
			return jobs.Request{}, nil, limitOf(err, "body", jobs.MaxFormBytes), err
		}
		request, err = jobs.DecodeForm(parts)
	} else {
		if body, err = readBody(w, r, jobs.MaxRequestBytes); err != nil {
			return jobs.Request{}, nil, limitOf(err, "body", jobs.MaxRequestBytes), err
		}
		request, err = jobs.DecodeRequest(body)
	}
	if err != nil {
		return jobs.Request{}, nil, limitOf(err, "script", jobs.MaxScriptBytes), err
	}
	return request, body, api.Error{}, h.checkRequest(request)
}

// checkRequest refuses what is well-formed and asks for more than this service
// gives.
func (h *Handler) checkRequest(request jobs.Request) *jobs.Error {
	if err := request.Inputs.CheckLimits(h.limits); err != nil || request.CallbackURL == "" {
		return err
	}
	if h.callback == nil {
		return jobs.Errorf(jobs.CodeInvalidRequest, `"callback_url" cannot be used here: this service has nothing to sign its messages with (CALLBACK_SECRET)`)
	}
	return h.callback(request.CallbackURL)
}

// limitOf adds the limit to a CodeScriptTooLarge.
func limitOf(err *jobs.Error, name string, bytes float64) api.Error {
	if err.Code != jobs.CodeScriptTooLarge {
		return api.Error{}
	}
	return api.Error{Limit: &api.Limit{Name: name, Value: bytes, Unit: "bytes"}}
}

// checkMediaType refuses a body that is neither plain JSON in UTF-8 nor a form,
// for which it gives the boundary.
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
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		return "", jobs.Errorf(jobs.CodeUnsupportedMediaType, "the charset must be utf-8, not %.100q; with curl: -H 'Content-Type: application/json'", charset)
	}
	return "", nil
}

// readBody reads the whole body, within its bound; the server bounds the time.
func readBody(w http.ResponseWriter, r *http.Request, bound int64) ([]byte, *jobs.Error) {
	if r.ContentLength > bound {
		return nil, overBound(w, r, bound)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, io.NopCloser(r.Body), bound))
	var tooMuch *http.MaxBytesError
	switch {
	case errors.As(err, &tooMuch):
		return nil, overBound(w, r, bound)
	case err != nil:
		w.Header().Set("Connection", "close")
		return nil, &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the body did not arrive whole and in time", Cause: err}
	}
	return body, nil
}

// overBound refuses a body that has more bytes than its bound.
func overBound(w http.ResponseWriter, r *http.Request, bound int64) *jobs.Error {
	w.Header().Set("Connection", "close") // the rest of the body is not wanted
	if r.Header.Get("Expect") == "" {
		// Some of it is taken: a client that is still sending would else lose the
		// answer with its connection.
		_, _ = io.CopyN(io.Discard, r.Body, 2*bound)
	}
	return jobs.Errorf(jobs.CodeScriptTooLarge, "the body has more than %d bytes", bound)
}
