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

// unavailableRetrySeconds is for an error that time mends and that does not say
// how much.
const unavailableRetrySeconds = 5

// encoding passes a result on as the worker checked it: strings and numbers as
// they were spelt. Whatever else is not UTF-8 comes out as U+FFFD rather than
// as an error.
var encoding = json.JoinOptions(
	jsontext.PreserveRawStrings(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// write answers with a JSON body and the status.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	encoded, err := json.Marshal(body, encoding)
	if err != nil {
		if _, failing := body.(api.Error); failing {
			panic(err) // an error that cannot be encoded; recoverPanics has a plain one
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

// fail answers with an error. What is not a *jobs.Error becomes CodeInternal;
// causes go to the log and never to the client. A client that has gone gets
// its connection broken: to return without an answer would send an empty 200.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler)
	}
	var told *jobs.Error
	if !errors.As(err, &told) {
		told = &jobs.Error{Code: jobs.CodeInternal, Message: "something went wrong on our side", Cause: err}
	}
	h.failWith(w, r, told, api.Error{})
}

// failWith is fail with more fields in the body.
func (h *Handler) failWith(w http.ResponseWriter, r *http.Request, err *jobs.Error, body api.Error) {
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
	body.Error, body.Code, body.JobID = err.Message, api.ErrorCode(err.Code), x.jobID
	h.write(w, r, status, body)
}

func setRetryAfter(w http.ResponseWriter, code jobs.Code, seconds int) {
	if seconds == 0 && (code == jobs.CodeUnavailable || code == jobs.CodeQueueFull || code == jobs.CodeNotStarted) {
		seconds = unavailableRetrySeconds
	}
	if seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}
