package client

import (
	"context"
	"errors"
	"time"
)

// errDone ends what is followed: all was told, or the caller has had enough.
var errDone = errors.New("all was told")

// connection is one connection of something that is followed.
type connection interface {
	// connect gives what comes until the connection ends, and why it did: errDone,
	// or else it may be made again.
	connect(ctx context.Context) error
	// progress changes with whatever comes.
	progress() any
	// asked is how long the service asked to wait before the next one, at least; 0 if
	// it did not. Later pauses are longer.
	asked() time.Duration
}

// follow connects until all was told. The attempts count from the last thing that
// came.
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
