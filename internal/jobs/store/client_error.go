package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// fullRetrySeconds is the Retry-After of a response to a client when the storage is full: an operator has to free
// space.
const fullRetrySeconds = 30

// ClientError returns the error for a client whose request failed with err. It returns a *jobs.Error that err is or
// wraps; otherwise one with CodeUnavailable, whose message is that the storage is full if Redis refuses writes for
// that reason, and message if not.
func ClientError(message string, err error) *jobs.Error {
	var known *jobs.Error
	switch {
	case errors.As(err, &known):
		return known
	// Older servers quote a script's error inside another one.
	case strings.Contains(err.Error(), "MISCONF "):
		message = "the storage is full: Redis cannot write to its disk; " +
			"make room there and try again (nothing else needs to be done)"
	case strings.Contains(err.Error(), "OOM command not allowed"):
		message = "the storage is full: Redis has reached its maxmemory; " +
			"wait until results expire, or raise it, and try again"
	default:
		return jobs.Unavailable(message, err)
	}
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: message, RetryAfterSeconds: fullRetrySeconds, Cause: err}
}

// writableTTL is how long the key that TryWrite writes is kept.
const writableTTL = time.Second

// TryWrite writes a short-lived key and returns an error if Redis refuses the write; in a cluster, if most parts do.
func (s *Store) TryWrite(ctx context.Context) error {
	var failed []error
	for _, client := range s.parts.Servers() {
		if err := client.Set(ctx, writableKey, "", writableTTL).Err(); err != nil {
			failed = append(failed, err)
		}
	}
	// While one of several primaries is away, jobs of the other parts go on.
	if n := s.parts.Len(); len(failed) > n/2 {
		return fmt.Errorf("try a write: %w", failed[0])
	}
	return nil
}
