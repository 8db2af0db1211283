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

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// IsNotFound reports whether err is or wraps an *Error with CodeNotFound.
func IsNotFound(err error) bool {
	var known *Error
	return errors.As(err, &known) && known.Code == CodeNotFound
}
