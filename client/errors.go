package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cellblock/api"
)

// Code says what is wrong, for programs. There may be further ones in later
// versions of the service.
type Code = api.ErrorCode

// The codes of the contract, which says more of each.
const (
	CodeInvalidRequest       = api.ErrorCodeInvalidRequest
	CodeMissingMain          = api.ErrorCodeMissingMain
	CodeSyntaxError          = api.ErrorCodeSyntaxError
	CodeArgsMismatch         = api.ErrorCodeArgsMismatch
	CodeUnauthorized         = api.ErrorCodeUnauthorized
	CodeNotFound             = api.ErrorCodeNotFound
	CodeMethodNotAllowed     = api.ErrorCodeMethodNotAllowed
	CodeCancelled            = api.ErrorCodeCancelled
	CodeAlreadyFinished      = api.ErrorCodeAlreadyFinished
	CodeScriptTooLarge       = api.ErrorCodeScriptTooLarge
	CodeInputTooLarge        = api.ErrorCodeInputTooLarge
	CodeUnsupportedMediaType = api.ErrorCodeUnsupportedMediaType
	CodePreconditionFailed   = api.ErrorCodePreconditionFailed
	CodeRangeNotSatisfiable  = api.ErrorCodeRangeNotSatisfiable
	CodeNotSerializable      = api.ErrorCodeNotSerializable
	CodeException            = api.ErrorCodeException
	CodeExit                 = api.ErrorCodeExit
	CodeTimeout              = api.ErrorCodeTimeout
	CodeCPULimit             = api.ErrorCodeCPULimit
	CodeMemoryLimit          = api.ErrorCodeMemoryLimit
	CodeProcessLimit         = api.ErrorCodeProcessLimit
	CodeResultTooLarge       = api.ErrorCodeResultTooLarge
	CodeFilesTooLarge        = api.ErrorCodeFilesTooLarge
	CodeKilled               = api.ErrorCodeKilled
	CodeIdempotencyMismatch  = api.ErrorCodeIdempotencyMismatch
	CodeQueueFull            = api.ErrorCodeQueueFull
	CodeWorkerLost           = api.ErrorCodeWorkerLost
	CodeInternal             = api.ErrorCodeInternal
	CodeUnavailable          = api.ErrorCodeUnavailable
	CodeNotStarted           = api.ErrorCodeNotStarted
)

// Error is what the service said instead of what was asked for: it refused a
// request, or a job failed or was cancelled.
type Error struct {
	// Code is for programs; "" if the answer was not the service's own, but a
	// proxy's.
	Code Code
	// Message is a sentence for people.
	Message string
	// Status is the answer's HTTP status; 0 if it is about a job that was read, or
	// whose end was told by an event.
	Status int
	// JobID is the job that it is about; "" if there is none.
	JobID string
	// RequestID is the request in the service's logs.
	RequestID string
	// RetryAfter is how long the service asks to wait; 0 if it does not.
	RetryAfter time.Duration
	// FailureDetail is what else is known: traceback, limit, signal and so on.
	api.FailureDetail
	// Stdout and Stderr are what the script printed until then.
	Stdout, Stderr string

	// job is the one that failed; nil if it is about none.
	job *Job
}

// Error returns the sentence, where in the result it is and what probably helps, the
// code and the job.
func (e *Error) Error() string {
	about := string(e.Code)
	if about == "" {
		about = "HTTP status " + strconv.Itoa(e.Status)
	}
	if e.JobID != "" {
		about += ", job " + e.JobID
	}
	sentence := e.Message
	if e.Detail != "" {
		sentence += ": " + e.Detail
	}
	if e.Hint != "" {
		sentence += "; " + e.Hint
	}
	return fmt.Sprintf("%s (%s)", sentence, about)
}

// CodeOf gives the code of an error that is, or wraps, an *Error; "" for others
// and for nil.
func CodeOf(err error) Code {
	if known := new(Error); errors.As(err, &known) {
		return known.Code
	}
	return ""
}

// Ended tells whether a job in this state stays there.
func Ended(status JobStatus) bool {
	return status == api.JobStatusSucceeded || status == api.JobStatusFailed || status == api.JobStatusCancelled
}

// Failure is the *Error of a job that failed or was cancelled, as Wait gives it;
// nil of one that succeeded or has not ended.
func Failure(job *Job) error {
	if job.Code == "" {
		return nil
	}
	return errorOf(job, 0)
}

// errorOf makes an error of a job's fields, which are those of every error too.
func errorOf(job *Job, status int) *Error {
	e := &Error{
		Code: job.Code, Message: job.Error, Status: status, JobID: job.JobID,
		FailureDetail: api.FailureDetail{
			Limit: job.Limit, Detail: job.Detail, Hint: job.Hint, Line: job.Line, Column: job.Column, Text: job.Text,
			ExitCode: job.ExitCode, Signal: job.Signal, Traceback: job.Traceback,
		},
		Stdout: deref(job.Stdout), Stderr: deref(job.Stderr),
	}
	if job.JobID != "" {
		e.job = job
	}
	return e
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// refusal makes an error of an answer that is not 2xx.
func refusal(response *http.Response, body []byte) *Error {
	var told Job
	if decode(body, &told) != nil || told.Code == "" {
		told = Job{Error: fmt.Sprintf("the answer is %q, and not in Cellblock's own words", response.Status)}
	}
	if told.Status == "" { // an error about a job that is not the job itself: a withdrawn one
		told.Status = api.JobStatusFailed
	}
	e := errorOf(&told, response.StatusCode)
	e.RequestID = response.Header.Get("X-Request-Id")
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
