package client

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// errIdle is the error of a connection that was closed because no data arrived.
var errIdle = errors.New("no data arrived in time")

// idleBody is a response body whose reads fail when no data arrives for a while. Without it, a read from a peer that
// vanished blocks forever.
type idleBody struct {
	io.ReadCloser
	timer  *time.Timer
	bound  time.Duration
	cancel context.CancelFunc
	idle   atomic.Bool
}

// withIdleTimeout wraps body. It takes over the cancel function of the request, and calls it when a read gets no data
// within bound, and on Close.
func withIdleTimeout(body io.ReadCloser, cancel context.CancelFunc, bound time.Duration) io.ReadCloser {
	b := &idleBody{ReadCloser: body, bound: bound, cancel: cancel}
	b.timer = time.AfterFunc(bound, func() {
		b.idle.Store(true)
		cancel()
	})
	b.timer.Stop()
	return b
}

// Read waits for at most one bound. The time between two reads does not count.
func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.bound)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && b.idle.Load() {
		err = errIdle
	}
	return n, err
}

// Close ends the response, whether or not it was read.
func (b *idleBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}
