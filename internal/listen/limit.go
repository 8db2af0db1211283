package listen

import (
	"container/list"
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits bound the connections of a Limited listener.
type Limits struct {
	// Total is the most connections at a time, and PerAddress that of one address; 0 is no bound. The addresses of an
	// IPv6 network of 64 bits count as one.
	Total, PerAddress int
	// Proxies have no bound of their own: behind them are many clients.
	Proxies []netip.Prefix
	// Refusal returns the HTTP response for a connection beyond a bound.
	Refusal func(perAddress bool) []byte
	// OnRefused, if not nil, is called for each such connection.
	OnRefused func(perAddress bool)
}

const (
	defaultSpareAge = time.Second
	// refusalTime is how long a refused client may take to send its request and to read the response.
	refusalTime = time.Second
	// refusalsAtOnce is how many refusals are sent at a time. Beyond it, connections are closed without a response.
	refusalsAtOnce = 64
	// sendBuffer is the bytes that the kernel holds for a client that does not read: it keeps twice as much, and less
	// where net.core.wmem_max is lower. Without it, the buffer grows to megabytes (tcp_wmem, tcp(7)).
	sendBuffer = 256 << 10
)

// Limited is a listener with Limits. A connection without a request makes place for a new one, the one that has none
// for the longest time first; connections that find no place are refused with a response. Its owner calls Close.
type Limited struct {
	net.Listener
	limits Limits
	// spareAge is how long a connection has no request until another may take its place.
	spareAge time.Duration

	mu        sync.Mutex
	open      int
	byAddress map[netip.Addr]int
	// spare has the connections without a request.
	spare *list.List

	refusing chan struct{}
	refusals sync.WaitGroup
}

// Limit returns a listener that accepts the connections of inner within limits.
func Limit(inner net.Listener, limits Limits) *Limited {
	return &Limited{
		Listener: inner, limits: limits, spareAge: defaultSpareAge, byAddress: map[netip.Addr]int{}, spare: list.New(),
		refusing: make(chan struct{}, refusalsAtOnce),
	}
}

// Accept implements net.Listener. It refuses the connections for which there is no place.
func (l *Limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(sendBuffer) // otherwise the kernel's own size applies
		}
		c, perAddress := l.admit(conn)
		if c != nil {
			return c, nil
		}
		l.refuse(conn, perAddress)
	}
}

// Close closes the listener and waits until the refusals are sent.
func (l *Limited) Close() error {
	err := l.Listener.Close()
	l.refusals.Wait()
	return err
}

// admit counts a connection, or returns nil and which bound it is beyond.
func (l *Limited) admit(conn net.Conn) (_ *limitedConn, perAddress bool) {
	peer := addressOf(conn)
	c := &limitedConn{Conn: conn, listener: l, address: ClientOf(peer)}
	bound := l.limits.PerAddress
	if slices.ContainsFunc(l.limits.Proxies, func(p netip.Prefix) bool { return p.Contains(peer) }) {
		bound = 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if bound > 0 && l.byAddress[c.address] >= bound {
		if !l.displace(func(other *limitedConn) bool { return other.address == c.address }) {
			return nil, true
		}
	}
	if l.limits.Total > 0 && l.open >= l.limits.Total && !l.displace(func(*limitedConn) bool { return true }) {
		return nil, false
	}
	l.open++
	l.byAddress[c.address]++
	c.counted = true
	l.addSpare(c)
	return c, false
}

// displace closes the first spare connection that may be closed, and reports whether there was one. l.mu is held.
func (l *Limited) displace(may func(*limitedConn) bool) bool {
	for e := l.spare.Front(); e != nil; e = e.Next() {
		c, _ := e.Value.(*limitedConn)
		if time.Since(c.spareSince) < l.spareAge {
			return false // those behind it are younger
		}
		if may(c) {
			l.forget(c)
			_ = c.Conn.Close() // the server notices by its next read
			return true
		}
	}
	return false
}

// forget stops counting a connection. l.mu is held.
func (l *Limited) forget(c *limitedConn) {
	if !c.counted {
		return
	}
	c.counted = false
	l.removeSpare(c)
	l.open--
	if l.byAddress[c.address]--; l.byAddress[c.address] == 0 {
		delete(l.byAddress, c.address)
	}
}

func (l *Limited) addSpare(c *limitedConn) {
	c.spareSince = time.Now()
	c.spare = l.spare.PushBack(c)
}

func (l *Limited) removeSpare(c *limitedConn) {
	if c.spare != nil {
		l.spare.Remove(c.spare)
		c.spare = nil
	}
}

// refuse responds to a connection and closes it.
func (l *Limited) refuse(conn net.Conn, perAddress bool) {
	if l.limits.OnRefused != nil {
		l.limits.OnRefused(perAddress)
	}
	select {
	case l.refusing <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	l.refusals.Go(func() {
		defer func() { <-l.refusing }()
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(refusalTime))
		// A response before the request would be unexpected, and closing with unread bytes would reset the connection
		// before the client reads it.
		if _, err := conn.Read(make([]byte, 4<<10)); err != nil {
			return
		}
		if _, err := conn.Write(l.limits.Refusal(perAddress)); err != nil {
			return
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, conn, 64<<10)
		}
	})
}

// limitedConn is a connection that counts until it is closed. The listener's lock guards its fields.
type limitedConn struct {
	net.Conn
	listener *Limited
	address  netip.Addr
	// counted is false once the connection is closed, or another took its place.
	counted bool
	// spare is its element of Limited.spare, where it is since spareSince; nil while it has a request.
	spare      *list.Element
	spareSince time.Time
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.listener.mu.Lock()
	c.listener.forget(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

type connKey struct{}

// WithConn returns a context for the requests of a connection, for Occupy.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// Occupy keeps a request's connection from being closed for another one, until the caller calls done. ctx is the
// request's; it does nothing unless WithConn has added a connection of a Limited listener.
func Occupy(ctx context.Context) (done func()) {
	c, ok := ctx.Value(connKey{}).(*limitedConn)
	if !ok {
		return func() {}
	}
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeSpare(c)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.counted {
			l.addSpare(c)
		}
	}
}

// ClientOf returns the address that stands for a client: of IPv6, its network of 64 bits, in which a client chooses
// its addresses.
func ClientOf(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		const network = 64
		prefix, _ := address.Prefix(network) // never fails: 64 is in range
		return prefix.Addr()
	}
	return address
}

// addressOf returns the address of a connection's peer; the zero address if it is none of TCP.
func addressOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
