package client

import (
	"context"
	"errors"
	"time"
)

// errDone ends follow without an error: the stream is complete, or the caller stopped reading.
var errDone = errors.New("stream complete")

// connection reads a stream that may take several connections.
type connection interface {
	// connect yields what one connection brings and returns the reason that it ended: errDone, or an error after which
	// follow may reconnect.
	connect(ctx context.Context) error
	// progress returns a value that changes with each item received.
	progress() any
	// retryAfter is the minimum pause before the next connection that the service asks for; 0 if it did not.
	// Later pauses are longer.
	retryAfter() time.Duration
}

// follow reconnects until the stream is complete. It counts attempts from the last item received.
func (c *Client) follow(ctx context.Context, next connection) error {
	pauses, attempts := c.pauses(), c.withMoreAttempts().attempts
	for failed := 1; ; failed++ {
		before := next.progress()
		err := next.connect(ctx)
		if errors.Is(err, errDone) {
			return nil
		}
		if minimum := next.retryAfter(); minimum > 0 {
			pauses.InitialInterval = minimum
		}
		if next.progress() != before || failed == 1 {
			failed = 1
			pauses.Reset()
		}
		if ctx.Err() != nil || failed >= attempts || !isRetryable(err) {
			return err
		}
		if wait := max(next.retryAfter(), pauseAfter(err, pauses.NextBackOff())); !pause(ctx, wait) {
			return stopped(ctx, err)
		}
	}
}
