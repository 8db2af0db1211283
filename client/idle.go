package client

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// errIdle ends a connection that is as good as gone.
var errIdle = errors.New("nothing came any more")

// idleBody is the body of an answer that ends once nothing comes for a while: a
// connection whose other end is gone without a word says nothing by itself.
type idleBody struct {
	io.ReadCloser
	timer  *time.Timer
	bound  time.Duration
	cancel context.CancelFunc
	idle   atomic.Bool
}

// watchIdle takes over body, and the cancel of its request, which it calls when
// nothing came for the bound, and when the body is closed.
func watchIdle(body io.ReadCloser, cancel context.CancelFunc, bound time.Duration) io.ReadCloser {
	b := &idleBody{ReadCloser: body, bound: bound, cancel: cancel}
	b.timer = time.AfterFunc(bound, func() {
		b.idle.Store(true)
		cancel()
	})
	b.timer.Stop()
	return b
}

// Read waits for one bound at most. Time between reads is the caller's.
func (b *idleBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.bound)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && b.idle.Load() {
		err = errIdle
	}
	return n, err
}

// Close ends the answer, read or not.
func (b *idleBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}
