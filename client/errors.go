package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cellblock/api"
)

// Code is the machine-readable error code. Later versions of the service may add codes.
type Code = api.ErrorCode

// The codes of the contract, which documents each of them.
const (
	CodeInvalidRequest       = api.ErrorCodeInvalidRequest
	CodeUnknownEnvironment   = api.ErrorCodeUnknownEnvironment
	CodeMissingPackages      = api.ErrorCodeMissingPackages
	CodeMissingMain          = api.ErrorCodeMissingMain
	CodeSyntaxError          = api.ErrorCodeSyntaxError
	CodeArgsMismatch         = api.ErrorCodeArgsMismatch
	CodeUnauthorized         = api.ErrorCodeUnauthorized
	CodeForbidden            = api.ErrorCodeForbidden
	CodeCrossOrigin          = api.ErrorCodeCrossOrigin
	CodeHostNotAllowed       = api.ErrorCodeHostNotAllowed
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
	CodeRateLimited          = api.ErrorCodeRateLimited
	CodeQuotaExceeded        = api.ErrorCodeQuotaExceeded
	CodeWorkerLost           = api.ErrorCodeWorkerLost
	CodeInternal             = api.ErrorCodeInternal
	CodeUnavailable          = api.ErrorCodeUnavailable
	CodeNotStarted           = api.ErrorCodeNotStarted
	CodeFileNotFound         = api.ErrorCodeFileNotFound
	CodeStorageFull          = api.ErrorCodeStorageFull
)

// Error is a refused request, or a job that failed or was cancelled.
type Error struct {
	// Code is the error code; "" if the response came from a proxy instead of the service.
	Code Code
	// Message is a sentence for people.
	Message string
	// Status is the response's HTTP status; 0 for the failure of a job that was read or whose end arrived as an event.
	Status int
	// JobID is the job that failed; "" if there is none.
	JobID string
	// RequestID identifies the request in the service's logs.
	RequestID string
	// RetryAfter is the service's Retry-After; 0 if there was none.
	RetryAfter time.Duration
	// FailureDetail has further facts: traceback, limit, signal and so on.
	api.FailureDetail
	// Stdout and Stderr are the script's output up to the failure.
	Stdout, Stderr string

	// job is the job that failed; nil if there is none.
	job *Job
}

// Error returns the message, the place in the result, a hint, the code and the job.
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

// CodeOf returns the code of an error that is, or wraps, an *Error; "" for other errors and for nil.
func CodeOf(err error) Code {
	if known := new(Error); errors.As(err, &known) {
		return known.Code
	}
	return ""
}

// Ended reports whether a status is final.
func Ended(status JobStatus) bool {
	return status == api.JobStatusSucceeded || status == api.JobStatusFailed || status == api.JobStatusCancelled
}

// Failure returns the *Error of a job that failed or was cancelled, as Wait does; nil for one that succeeded or has
// not ended.
func Failure(job *Job) error {
	if job.Code == "" {
		return nil
	}
	return errorOf(job, 0)
}

// errorOf converts a job to an Error. Every error response has the fields of a job.
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

// responseError converts a response other than 2xx to an Error.
func responseError(response *http.Response, body []byte) *Error {
	var job Job
	if decode(body, &job) != nil || job.Code == "" {
		job = Job{Error: fmt.Sprintf("the response is %q, and not from Cellblock", response.Status)}
	}
	if job.Status == "" { // an error about a withdrawn job has no status
		job.Status = api.JobStatusFailed
	}
	e := errorOf(&job, response.StatusCode)
	e.RequestID = response.Header.Get("X-Request-Id")
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
