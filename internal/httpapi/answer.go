package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// unavailableRetrySeconds is the Retry-After of a transient error without one.
const unavailableRetrySeconds = 5

// encoding keeps a result as the worker checked it, with strings and numbers spelled as they were.
// It replaces other invalid UTF-8 with U+FFFD instead of failing.
var encoding = json.JoinOptions(
	jsontext.PreserveRawStrings(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// write responds with the status and body as JSON.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	encoded, err := json.Marshal(body, encoding)
	if err != nil {
		if _, failing := body.(api.Error); failing {
			panic(err) // the error itself cannot be encoded; recoverPanics responds with a plain one
		}
		h.fail(w, r, err)
		return
	}
	encoded = append(encoded, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(encoded)))
	w.WriteHeader(status)
	if _, err := w.Write(encoded); err != nil {
		h.logger.DebugContext(r.Context(), "an answer was not read", "error", err, "request_id", exchangeOf(r).requestID)
	}
}

// fail responds with an error. An error that is not a *jobs.Error becomes CodeInternal; causes are
// logged and never sent to the client. If the client has gone, fail breaks the connection:
// returning without a response would send an empty 200.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler)
	}
	var told *jobs.Error
	if !errors.As(err, &told) {
		told = &jobs.Error{Code: jobs.CodeInternal, Message: "something went wrong on our side", Cause: err}
	}
	h.tell(w, r, told)
}

// tell responds with err, and logs it if its status is 500 or above.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, err *jobs.Error) {
	x := exchangeOf(r)
	status := statusOf(err.Code)
	if status >= http.StatusInternalServerError {
		level := slog.LevelError
		if err.Code == jobs.CodeUnavailable {
			level = slog.LevelWarn
		}
		h.logger.Log(r.Context(), level, "request failed", "code", string(err.Code), "error", err, "request_id", x.requestID, "job_id", x.jobID)
	}
	setRetryAfter(w, err.Code, err.RetryAfterSeconds)
	h.write(w, r, status, api.Error{Error: err.Message, Code: api.ErrorCode(err.Code), JobID: x.jobID, Limit: limitBody(err.Limit)})
}

func setRetryAfter(w http.ResponseWriter, code jobs.Code, seconds int) {
	if seconds == 0 && (code == jobs.CodeUnavailable || code == jobs.CodeQueueFull || code == jobs.CodeNotStarted) {
		seconds = unavailableRetrySeconds
	}
	if seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}
