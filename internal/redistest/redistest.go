// Package redistest runs a real redis-server for a test.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
)

// startBound is the timeout for a server's first response.
const startBound = 10 * time.Second

// Server is a redis-server on a unix socket in its own folder. It writes an append-only file, so acknowledged writes
// survive Kill and Start.
type Server struct {
	dir     string
	process *exec.Cmd
}

// Start starts a server that ends with the test, and returns its URL.
func Start(t testing.TB) string {
	t.Helper()
	return StartServer(t).URL()
}

// StartServer starts a server that ends with the test. With -short it skips the test.
func StartServer(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs redis-server")
	}
	// Not t.TempDir: its path can be too long for a socket.
	dir, err := os.MkdirTemp("", "redistest") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// Open starts a server and returns a client for it; both end with the test.
func Open(t testing.TB) redis.UniversalClient {
	t.Helper()
	return Client(t, Start(t))
}

// Client returns a client with the programs' options; it is closed with the test.
func Client(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Settings{URL: url}.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if isInPart() {
		return newPartClient(client)
	}
	return client
}

// Monitor returns a monitor with the API's options; it is closed with the test.
func Monitor(t testing.TB, url string) *redisconn.Monitor {
	t.Helper()
	monitor, err := redisconn.Settings{URL: url}.Monitor()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = monitor.Close() })
	return monitor
}

// URL returns the server's URL, which stays the same after Kill and Start.
func (s *Server) URL() string { return (&url.URL{Scheme: "unix", Path: s.socket()}).String() }

func (s *Server) socket() string { return filepath.Join(s.dir, "s") }

// Start starts the server, also after Kill, and waits until it responds.
func (s *Server) Start() error {
	_ = os.Remove(s.socket()) // a killed server leaves it
	// Without syncs no write is put off behind one, so a killed server loses nothing that it acknowledged.
	s.process = exec.CommandContext(context.Background(), "redis-server", //nolint:gosec // paths of our own
		"--port", "0", "--unixsocket", s.socket(), "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "no", "--logfile", filepath.Join(s.dir, "log"))
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	return s.awaitAnswer()
}

func (s *Server) awaitAnswer() error {
	client, err := redisconn.Settings{URL: s.URL()}.Open()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return errors.Join(fmt.Errorf("redis-server does not answer: %w", err),
				fmt.Errorf("it says: %.2000s", said))
		}
	}
}

// Kill kills the server, as a crash would, and waits until it has exited.
func (s *Server) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// Freeze suspends the server: connections stay open, but it does not respond.
func (s *Server) Freeze() error { return s.process.Process.Signal(syscall.SIGSTOP) }

// Thaw resumes a frozen server.
func (s *Server) Thaw() error { return s.process.Process.Signal(syscall.SIGCONT) }
