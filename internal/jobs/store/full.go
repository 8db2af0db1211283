package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// fullRetrySeconds is the Retry-After of a response to a client when the storage is full: an operator has to free
// space.
const fullRetrySeconds = 30

// Full returns the error for a client when Redis refuses writes because its disk or its memory is full: a *jobs.Error
// with CodeUnavailable. It returns nil for all other errors.
func Full(err error) *jobs.Error {
	var message string
	switch {
	case err == nil:
		return nil
	// Older servers quote a script's error inside another one.
	case strings.Contains(err.Error(), "MISCONF "):
		message = "the storage is full: Redis cannot write to its disk; make room there and try again (nothing else needs to be done)"
	case strings.Contains(err.Error(), "OOM command not allowed"):
		message = "the storage is full: Redis has reached its maxmemory; wait until results expire, or raise it, and try again"
	default:
		return nil
	}
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: message, RetryAfterSeconds: fullRetrySeconds, Cause: err}
}

const (
	// writableKey is written to check whether Redis accepts writes.
	writableKey = "cellblock:writable"
	writableTTL = time.Second
)

// TryWrite writes a short-lived key and returns an error if Redis refuses the write.
func (s *Store) TryWrite(ctx context.Context) error {
	if err := s.client.Set(ctx, writableKey, "", writableTTL).Err(); err != nil {
		return fmt.Errorf("try a write: %w", err)
	}
	return nil
}
