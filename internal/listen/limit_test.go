package listen

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const testRefusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"

// limited is a Limited listener whose connections a test accepts.
type limited struct {
	*Limited
	accepted chan net.Conn
}

func newLimited(t *testing.T, limits Limits, spareAge time.Duration) *limited {
	t.Helper()
	inner, err := TCP(t.Context(), "API_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limits.Refusal = func(perAddress bool) []byte {
		if perAddress {
			return []byte(testRefusal + "here")
		}
		return []byte(testRefusal + "full")
	}
	l := &limited{Limited: Limit(inner, limits), accepted: make(chan net.Conn, 100)}
	l.spareAge = spareAge
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			l.accepted <- conn
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l
}

// connect connects from 127.0.0.n and returns both ends; the server's end is nil if the connection was refused, with
// the response in refusal.
func (l *limited) connect(t *testing.T, n byte) (client, server net.Conn, refusal string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, n)}, Timeout: 5 * time.Second}
	client, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_ = client.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			return // it was accepted
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		read <- string(body)
	}()
	select {
	case server = <-l.accepted:
		t.Cleanup(func() { _ = server.Close() })
	case refusal = <-read:
	case <-time.After(5 * time.Second):
		t.Fatal("neither accepted nor refused")
	}
	return client, server, refusal
}

// occupy connects and begins a request.
func (l *limited) occupy(t *testing.T, n byte) (server net.Conn, done func()) {
	t.Helper()
	_, server, refusal := l.connect(t, n)
	if refusal != "" {
		t.Fatalf("refused: %s", refusal)
	}
	return server, Occupy(WithConn(t.Context(), server))
}

func (l *limited) wantRefused(t *testing.T, n byte, want string) {
	t.Helper()
	if _, server, refusal := l.connect(t, n); server != nil || refusal != want {
		t.Errorf("got %q, accepted %v; want %q", refusal, server != nil, want)
	}
}

func TestTotalIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{Total: 2}, 0)
	first, _ := l.occupy(t, 1)
	l.occupy(t, 2)
	l.wantRefused(t, 3, "full")
	_ = first.Close()
	_ = first.Close() // counts once
	l.occupy(t, 3)
	l.wantRefused(t, 4, "full")
}

func TestEachAddressIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{Total: 100, PerAddress: 2, Proxies: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.9/32"),
	}}, 0)
	l.occupy(t, 1)
	l.occupy(t, 1)
	l.wantRefused(t, 1, "here")
	for range 3 {
		l.occupy(t, 9)
	}
	l.occupy(t, 2)
}

// A connection without a request makes place, the one first that has none for the longest time.
func TestSpareConnectionsMakePlace(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{Total: 3}, 0)
	_, done := l.occupy(t, 1)
	oldest, _, _ := l.connect(t, 1)
	l.connect(t, 1)
	l.occupy(t, 2)
	if _, err := oldest.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the oldest one is open: %v", err)
	}
	l.occupy(t, 2)
	l.wantRefused(t, 2, "full")
	done()
	l.occupy(t, 2)
}

// One that has just been made keeps its place: its request may be on the way.
func TestYoungConnectionsKeepTheirPlace(t *testing.T) {
	t.Parallel()
	l := newLimited(t, Limits{Total: 1}, time.Hour)
	l.connect(t, 1)
	l.wantRefused(t, 2, "full")
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::",
		"fe80::1%eth0":         "fe80::",
	} {
		if got := ClientOf(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
