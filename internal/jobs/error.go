package jobs

import (
	"errors"
	"fmt"
)

// Error is a failure that is reported to a client: a code for programs and a message for people. The cause is only
// logged and never sent.
type Error struct {
	Code    Code
	Message string
	// Limit is the limit that the request exceeds; nil for none.
	Limit *LimitHit
	// RetryAfterSeconds is how long the client should wait; 0 means unspecified.
	RetryAfterSeconds int
	// Cause is the underlying error; it may be nil.
	Cause error
}

// Errorf returns an Error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound returns the error for a job, batch or file (what) that does not exist or has expired.
func NotFound(what string) *Error {
	return Errorf(CodeNotFound, "there is no such %s, or it has expired", what)
}

// retryAfterSeconds is the Retry-After of Unavailable.
const retryAfterSeconds = 5

// Unavailable returns the error for a request that cannot be served now. cause may be nil.
func Unavailable(message string, cause error) *Error {
	return &Error{Code: CodeUnavailable, Message: message, RetryAfterSeconds: retryAfterSeconds, Cause: cause}
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// AsError returns the *Error that err is or wraps; for another error, one with CodeInternal and err as its cause.
func AsError(err error) *Error {
	var known *Error
	if !errors.As(err, &known) {
		known = &Error{Code: CodeInternal, Message: "something went wrong on our side", Cause: err}
	}
	return known
}

// CodeOf returns the code of the *Error that err is or wraps; "" if there is none.
func CodeOf(err error) Code {
	var known *Error
	if !errors.As(err, &known) {
		return ""
	}
	return known.Code
}
