package redisconn

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// monitorHook puts a client under a monitor. It is not used for connections to sentinels, whose
// answers do not count as those of Redis.
type monitorHook struct {
	monitor *Monitor
	// pings marks the monitor's own connections. They wait for answers however late those are,
	// which shows that Redis is slow and not absent.
	pings bool
}

// DialHook wraps each new connection, so that the monitor sees what Redis sends.
func (h monitorHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		inner, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, monitor: h.monitor, pings: h.pings}
		if raw, ok := inner.(syscall.Conn); ok {
			return &rawConn{conn: c, Conn: raw}, nil
		}
		return c, nil
	}
}

// ProcessHook ends a command's wait for a connection, and its retries, while Redis is silent.
func (h monitorHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.pings {
			return next(ctx, cmd)
		}
		ctx, cancel := h.monitor.Guard(ctx)
		defer cancel()
		err := next(ctx, cmd)
		if causedBySilence(ctx, err) {
			cmd.SetErr(ErrSilent)
			return ErrSilent
		}
		return err
	}
}

// ProcessPipelineHook is ProcessHook for several commands.
func (h monitorHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := h.monitor.Guard(ctx)
		defer cancel()
		err := next(ctx, cmds)
		if causedBySilence(ctx, err) {
			for _, cmd := range cmds {
				cmd.SetErr(ErrSilent)
			}
			return ErrSilent
		}
		return err
	}
}

// causedBySilence reports whether the monitor caused err.
func causedBySilence(ctx context.Context, err error) bool {
	return err != nil && (errors.Is(err, ErrSilent) || errors.Is(context.Cause(ctx), ErrSilent))
}

// conn is a connection whose reads and writes end while Redis is silent. It is needed because the
// client library obeys a context's deadline, but not its cancellation.
type conn struct {
	net.Conn

	monitor     *Monitor
	pings       bool
	interrupted atomic.Bool
	unanswered  atomic.Int64 // bytes to be written, or written, since the last read
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	done := c.wait()
	n, err := c.Conn.Read(p)
	done()
	if n > 0 {
		c.monitor.noteAnswer()
		c.resetUnanswered()
	}
	return n, c.silentOr(err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	// First: Redis may be silent while it takes the bytes. After an error the connection is closed.
	c.unanswered.Add(int64(len(p)))
	c.monitor.unanswered.Add(int64(len(p)))
	done := c.wait()
	n, err := c.Conn.Write(p)
	done()
	return n, c.silentOr(err)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.resetUnanswered()
	return c.Conn.Close()
}

func (c *conn) resetUnanswered() { c.monitor.unanswered.Add(-c.unanswered.Swap(0)) }

func (c *conn) wait() (done func()) {
	if c.pings {
		return func() {}
	}
	return c.monitor.wait(c.unanswered.Load(), c.interrupt)
}

func (c *conn) interrupt() {
	c.interrupted.Store(true)
	_ = c.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection
}

func (c *conn) silentOr(err error) error {
	if err != nil && c.interrupted.Load() {
		return ErrSilent
	}
	return err
}

// rawConn is a conn on which the client library can check, before use, whether the other side has
// closed it.
type rawConn struct {
	*conn
	syscall.Conn
}
