package jobs

import (
	"errors"
	"fmt"
)

// Error is a failure that a client is told of: a code for programs and a
// sentence for people. The cause is for the log only and is never sent.
type Error struct {
	Code    Code
	Message string
	// Limit is the bound that a request is over; nil if it is over none.
	Limit *LimitHit
	// RetryAfterSeconds is how long the client should wait; 0 means not said.
	RetryAfterSeconds int
	// Cause is what lies behind it; may be nil.
	Cause error
}

// Errorf makes an Error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// IsNotFound reports whether an error, or one that it wraps, is a CodeNotFound.
func IsNotFound(err error) bool {
	var known *Error
	return errors.As(err, &known) && known.Code == CodeNotFound
}
