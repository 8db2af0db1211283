package mcpapi

import (
	"context"
	"sync"
	"time"

	"cellblock/internal/membudget"
)

const (
	// maxFileMemory limits the bytes of files and pictures in answers held at once, until the client has read them.
	// There may be up to four copies of each, as files, in base64 and as messages.
	maxFileMemory = 32 << 20
	// fileMemoryTimeout is how long an answer waits for that memory.
	fileMemoryTimeout = 5 * time.Second
)

// call is what tools know of the HTTP request that called them.
type call struct {
	// done ends when the client has disconnected.
	done context.Context //nolint:containedctx // it is the request's, and lives as long as the call
	// baseURL is the URL of the API as the client reaches it.
	baseURL   string
	requestID string
	// memory limits the bytes of files in answers; nil for no limit.
	memory *membudget.Budget

	mu       sync.Mutex
	ended    bool
	releases []func()
}

type callKey struct{}

// whenWritten calls release once the answer is written: the SDK encodes and writes it after the tool has returned. Over
// standard input and output, whose memory is the user's, it calls release at once.
func (c *call) whenWritten(release func()) {
	c.mu.Lock()
	keep := c.done != nil && !c.ended
	if keep {
		c.releases = append(c.releases, release)
	}
	c.mu.Unlock()
	if !keep {
		release()
	}
}

// end releases what the answer has held.
func (c *call) end() {
	c.mu.Lock()
	c.ended = true
	releases := c.releases
	c.mu.Unlock()
	for _, release := range releases {
		release()
	}
}

// acquire blocks until there is memory for that many bytes of files in the answer, which it holds until the answer is
// written. It reports false if there is none in time, or ctx is done.
func (c *call) acquire(ctx context.Context, bytes int64) bool {
	if c.memory == nil {
		return true
	}
	release, ok := c.memory.Acquire(ctx, bytes)
	c.whenWritten(release)
	return ok
}

// callOf returns the HTTP request that ctx belongs to; an empty one over standard input and output.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// untilHangUp returns a context that also ends when the client disconnects. The caller calls stop.
func untilHangUp(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := callOf(ctx).done
	if done == nil {
		return ctx, cancel
	}
	unhook := context.AfterFunc(done, cancel)
	return ctx, func() {
		unhook()
		cancel()
	}
}
