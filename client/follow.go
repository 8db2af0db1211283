package client

import (
	"context"
	"errors"
	"time"
)

// errDone ends follow without an error: the stream is complete, or the caller stopped reading.
var errDone = errors.New("all was told")

// connection reads a stream that may take several connections.
type connection interface {
	// connect yields what one connection brings and returns the reason that it ended: errDone, or an error after which
	// follow may reconnect.
	connect(ctx context.Context) error
	// progress returns a value that changes with each item received.
	progress() any
	// asked is the minimum pause before the next connection that the service asked for; 0 if it did not. Later pauses
	// are longer.
	asked() time.Duration
}

// follow reconnects until the stream is complete. It counts attempts from the last item received.
func (c *Client) follow(ctx context.Context, next connection) error {
	pauses, attempts := c.pauses(), c.patient().attempts
	for failed := 1; ; failed++ {
		before := next.progress()
		err := next.connect(ctx)
		if errors.Is(err, errDone) {
			return nil
		}
		if asked := next.asked(); asked > 0 {
			pauses.InitialInterval = asked
		}
		if next.progress() != before || failed == 1 {
			failed = 1
			pauses.Reset()
		}
		if ctx.Err() != nil || failed >= attempts || !passing(err) {
			return err
		}
		if wait := max(next.asked(), pauseAfter(err, pauses.NextBackOff())); !pause(ctx, wait) {
			return stopped(ctx, err)
		}
	}
}
