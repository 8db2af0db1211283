package faults

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// wire is a proxy between a program and Redis that inspects each command and each reply.
type wire struct {
	url      string
	listener net.Listener
	upstream string
	// request and reply inspect each piece and report whether to forward it; otherwise the
	// connection is closed. last is the command before a reply.
	request func(command []byte) bool
	reply   func(last, reply []byte) bool
	// drop reports whether to omit a piece from Redis.
	drop func(piece []byte) bool

	mu    sync.Mutex
	conns []net.Conn
	all   sync.WaitGroup
}

func newWire(t *testing.T, redisURL string) *wire {
	t.Helper()
	socket := filepath.Join(shortDir(t), "wire")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "unix://" + socket, listener: listener, upstream: strings.TrimPrefix(redisURL, "unix://")}
	t.Cleanup(w.close)
	return w
}

func (w *wire) start() *wire {
	w.all.Go(func() {
		for {
			conn, err := w.listener.Accept()
			if err != nil {
				return
			}
			w.all.Go(func() { w.serve(conn) })
		}
	})
	return w
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.mu.Unlock()
	w.all.Wait()
}

func (w *wire) serve(down net.Conn) {
	defer down.Close()
	up, err := net.Dial("unix", w.upstream)
	if err != nil {
		return
	}
	defer up.Close()
	w.mu.Lock()
	w.conns = append(w.conns, down, up)
	w.mu.Unlock()
	var mu sync.Mutex
	var last []byte
	w.all.Go(func() {
		defer up.Close()
		defer down.Close()
		pass(down, up, func(piece []byte) (bool, bool) {
			mu.Lock()
			last = bytes.Clone(piece)
			mu.Unlock()
			return w.request == nil || w.request(piece), false
		})
	})
	pass(up, down, func(piece []byte) (bool, bool) {
		mu.Lock()
		command := last
		mu.Unlock()
		return w.reply == nil || w.reply(command, piece), w.drop != nil && w.drop(piece)
	})
}

// pass copies until see reports that the connection must end.
func pass(from, to net.Conn, see func(piece []byte) (goOn, drop bool)) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		goOn, drop := see(buffer[:n])
		if !goOn {
			return
		}
		if drop {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// The stages of a job at its worker, recognized by the Lua script sent: the number of arguments
// differs.
func isTake(command []byte) bool  { return isScript(command, "*6\r\n", "}:job") }
func isFence(command []byte) bool { return isScript(command, "*8\r\n", "}:job") }
func isEnd(command []byte) bool   { return isScript(command, "*16\r\n", "}:job") }

// isEnqueue recognizes asynq's script.
func isEnqueue(command []byte) bool { return isScript(command, "*", "}:t:") }

func isScript(command []byte, arity, key string) bool {
	return bytes.HasPrefix(command, []byte(arity)) && bytes.Contains(command, []byte(key)) &&
		bytes.Contains(bytes.ToLower(command[:min(len(command), 40)]), []byte("eval"))
}

// isPublished recognizes a Pub/Sub message.
func isPublished(piece []byte) bool {
	return bytes.HasPrefix(piece[1:], []byte("3\r\n$7\r\nmessage"))
}
