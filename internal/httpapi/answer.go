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
	h.tell(w, r, told)
}

// tell answers with an error that a client is told of.
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
