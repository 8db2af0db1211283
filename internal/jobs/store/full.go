package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// fullRetrySeconds is how long a client waits that found the storage full: somebody
// has to make room.
const fullRetrySeconds = 30

// Full returns what a client is told when Redis refuses to write because its disk or
// its memory is full, and nil for other errors: CodeUnavailable.
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
	// writableKey is written to see whether Redis takes writes.
	writableKey = "cellblock:writable"
	writableTTL = time.Second
)

// TryWrite fails as any write would now.
func (s *Store) TryWrite(ctx context.Context) error {
	if err := s.client.Set(ctx, writableKey, "", writableTTL).Err(); err != nil {
		return fmt.Errorf("try a write: %w", err)
	}
	return nil
}
