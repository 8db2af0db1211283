package faults

import (
	"bytes"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// interceptor is a proxy between a program and Redis that inspects each command and each reply.
type interceptor struct {
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

func newInterceptor(t *testing.T, redisURL string) *interceptor {
	t.Helper()
	socket := filepath.Join(shortDir(t), "interceptor")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	i := &interceptor{url: "unix://" + socket, listener: listener, upstream: strings.TrimPrefix(redisURL, "unix://")}
	t.Cleanup(i.close)
	return i
}

func (i *interceptor) start() *interceptor {
	i.all.Go(func() {
		for {
			conn, err := i.listener.Accept()
			if err != nil {
				return
			}
			i.all.Go(func() { i.serve(conn) })
		}
	})
	return i
}

func (i *interceptor) close() {
	_ = i.listener.Close()
	i.mu.Lock()
	for _, conn := range i.conns {
		_ = conn.Close()
	}
	i.mu.Unlock()
	i.all.Wait()
}

func (i *interceptor) serve(down net.Conn) {
	defer down.Close()
	up, err := net.Dial("unix", i.upstream)
	if err != nil {
		return
	}
	defer up.Close()
	i.mu.Lock()
	i.conns = append(i.conns, down, up)
	i.mu.Unlock()
	var mu sync.Mutex
	var last []byte
	i.all.Go(func() {
		defer up.Close()
		defer down.Close()
		copyPieces(down, up, func(piece []byte) (bool, bool) {
			mu.Lock()
			last = bytes.Clone(piece)
			mu.Unlock()
			return i.request == nil || i.request(piece), false
		})
	})
	copyPieces(up, down, func(piece []byte) (bool, bool) {
		mu.Lock()
		command := last
		mu.Unlock()
		return i.reply == nil || i.reply(command, piece), i.drop != nil && i.drop(piece)
	})
}

// copyPieces copies until inspect reports that the connection must end.
func copyPieces(from, to net.Conn, inspect func(piece []byte) (forward, drop bool)) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		forward, drop := inspect(buffer[:n])
		if !forward {
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

// The stages of a job at its worker, recognized by the keys of the script that the worker sends.
func isClaimStart(command []byte) bool { return scriptKeys(command) == "job events" }

func isEnd(command []byte) bool { return scriptKeys(command) == "job inputs events open usage" }

func isPoll(command []byte) bool { return scriptKeys(command) == "pending" }

// isTaken recognizes the reply to a poll that took a job: an array with the job's record at its end.
func isTaken(reply []byte) bool { return bytes.HasPrefix(reply, []byte("*6\r\n")) }

// isAccept recognizes the script by which the API stores a job and enqueues it.
func isAccept(command []byte) bool {
	return strings.HasPrefix(scriptKeys(command), "job inputs open ")
}

// scriptKeys returns the kinds of the keys of an EVAL or EVALSHA command: for cellblock:{id}:job that is job. It
// returns "" for another command.
func scriptKeys(command []byte) string {
	args := arguments(command)
	if !isEval(args) {
		return ""
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || len(args) < 3+n {
		return ""
	}
	var kinds []string
	for _, key := range args[3 : 3+n] {
		kinds = append(kinds, key[strings.LastIndexByte(key, ':')+1:])
	}
	return strings.Join(kinds, " ")
}

// isEval reports whether a command is EVAL or EVALSHA, with the script and the number of its keys.
func isEval(args []string) bool {
	return len(args) >= 3 && strings.HasPrefix(strings.ToLower(args[0]), "eval")
}

// arguments decodes the first command of a piece, as far as the piece has it.
func arguments(piece []byte) []string {
	var args []string
	_, rest, _ := bytes.Cut(piece, []byte("\r\n")) // the number of arguments
	for bytes.HasPrefix(rest, []byte("$")) {
		length, after, _ := bytes.Cut(rest[1:], []byte("\r\n"))
		n, err := strconv.Atoi(string(length))
		if err != nil || len(after) < n+2 {
			break
		}
		args, rest = append(args, string(after[:n])), after[n+2:]
	}
	return args
}

// isPublished recognizes a Pub/Sub message.
func isPublished(piece []byte) bool {
	return bytes.HasPrefix(piece[1:], []byte("3\r\n$7\r\nmessage"))
}
