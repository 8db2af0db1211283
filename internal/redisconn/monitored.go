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

// monitorHook puts a client under a monitor. Sentinels are asked outside of it, so
// that their answers do not count as Redis's.
type monitorHook struct {
	monitor *Monitor
	// pings marks the connections of the monitor itself. They wait for answers
	// however late those are, and so learn that Redis is slow.
	pings bool
}

// DialHook wraps each new connection, so that what comes in is noted.
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

// ProcessHook ends a command's wait for a connection, and its repetitions.
func (h monitorHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.pings {
			return next(ctx, cmd)
		}
		ctx, cancel := h.monitor.Guard(ctx)
		defer cancel()
		err := next(ctx, cmd)
		if silent(ctx, err) {
			cmd.SetErr(ErrSilent)
			return ErrSilent
		}
		return err
	}
}

// ProcessPipelineHook is the same for several commands.
func (h monitorHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := h.monitor.Guard(ctx)
		defer cancel()
		err := next(ctx, cmds)
		if silent(ctx, err) {
			for _, cmd := range cmds {
				cmd.SetErr(ErrSilent)
			}
			return ErrSilent
		}
		return err
	}
}

// silent reports whether err is there because of the monitor.
func silent(ctx context.Context, err error) bool {
	return err != nil && (errors.Is(err, ErrSilent) || errors.Is(context.Cause(ctx), ErrSilent))
}

// conn is a connection whose reads and writes end while Redis is silent. The client
// library obeys a context's deadline, and not its end.
type conn struct {
	net.Conn

	monitor *Monitor
	pings   bool
	ended   atomic.Bool
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	done := c.wait()
	n, err := c.Conn.Read(p)
	done()
	if n > 0 {
		c.monitor.heard()
	}
	return n, c.explain(err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	done := c.wait()
	n, err := c.Conn.Write(p)
	done()
	return n, c.explain(err)
}

func (c *conn) wait() (done func()) {
	if c.pings {
		return func() {}
	}
	return c.monitor.wait(c.end)
}

func (c *conn) end() {
	c.ended.Store(true)
	_ = c.SetDeadline(time.Unix(1, 0)) // it fails on a closed connection only
}

func (c *conn) explain(err error) error {
	if err != nil && c.ended.Load() {
		return ErrSilent
	}
	return err
}

// rawConn is a conn on which the client library sees whether the other side closed
// it, before it uses it.
type rawConn struct {
	*conn
	syscall.Conn
}
