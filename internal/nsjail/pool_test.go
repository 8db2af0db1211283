package nsjail

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// complaints collects log records at warning level or above.
type complaints struct {
	slog.Handler
	mu    *sync.Mutex
	lines *[]string
}

func newComplaints() complaints {
	return complaints{Handler: slog.DiscardHandler, mu: new(sync.Mutex), lines: new([]string)}
}

func (complaints) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (c complaints) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c complaints) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.lines = append(*c.lines, text)
	return nil
}

func (c complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(*c.lines)
}

// openPlain opens warm sandboxes with a plain zygote that is replaced after zygoteJobs forks.
func openPlain(t *testing.T, ready int, zygoteJobs int64, logger *slog.Logger, change func(*Settings)) *Warm {
	t.Helper()
	cold := openCold(t, func(s *Settings) {
		s.Preload, s.PreloadOnDemand, s.ZygoteJobs = nil, nil, zygoteJobs
		if change != nil {
			change(s)
		}
	})
	warm, err := NewWarm(t.Context(), cold.host, ready, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(warm.Close)
	return warm
}

// gatedNsjail is an nsjail that does not start while the gate is shut.
func gatedNsjail(t *testing.T) (program string, shut, open func()) {
	t.Helper()
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	program = filepath.Join(dir, "nsjail")
	text := fmt.Sprintf("#!/bin/sh\n[ -p %s ] && read -r _ <%s\nexec %s \"$@\"\n", gate, gate, defaultSettings(t).Nsjail)
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	var held *os.File
	shut = func() {
		if err := unix.Mkfifo(gate, 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if held, err = os.OpenFile(gate, os.O_RDWR, 0); err != nil {
			t.Fatal(err)
		}
	}
	open = func() {
		_ = os.Remove(gate)
		_, _ = held.WriteString("\n\n")
		_ = held.Close()
	}
	return program, shut, open
}

// acquireZygote acquires a sandbox, runs a script in it, and returns its zygote. It fails the test
// if that takes longer than a job should wait.
func acquireZygote(t *testing.T, warm *Warm) *zygote {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := warm.Acquire(ctx, "")
	if err != nil {
		t.Fatalf("no sandbox: %v", err)
	}
	if o := s.Run(t.Context(), "def main(): return 1", nil); o.Failure != nil {
		t.Fatalf("%+v", *o.Failure)
	}
	return s.processes.(*fork).zygote
}

// Jobs get sandboxes while the successor of a zygote starts.
func TestPoolServesWhileTheSuccessorStarts(t *testing.T) {
	t.Parallel()
	const zygoteJobs = 8
	program, shut, open := gatedNsjail(t)
	warm := openPlain(t, 2, zygoteJobs, testLogger(t), func(s *Settings) { s.Nsjail = program })
	first := acquireZygote(t, warm)
	shut()
	opened := sync.OnceFunc(open)
	defer opened()
	for range zygoteJobs + 2 {
		if z := acquireZygote(t, warm); z != first {
			t.Fatal("a zygote started through a gate that is shut")
		}
	}
	opened()
	for deadline := time.Now().Add(20 * time.Second); acquireZygote(t, warm) == first; {
		if time.Now().After(deadline) {
			t.Fatal("the successor does not take over")
		}
	}
}

// A zygote without a successor makes twice as many forks and then none.
func TestPoolStopsAtTwiceTheForks(t *testing.T) {
	t.Parallel()
	const zygoteJobs = 4
	program, shut, open := gatedNsjail(t)
	warm := openPlain(t, 1, zygoteJobs, testLogger(t), func(s *Settings) { s.Nsjail = program })
	first := acquireZygote(t, warm)
	shut()
	opened := sync.OnceFunc(open)
	defer opened()
	for !first.isRetired() {
		acquireZygote(t, warm)
	}
	if got := first.forkCount.Load(); got != 2*zygoteJobs {
		t.Errorf("%d forks, want %d", got, 2*zygoteJobs)
	}
	opened()
	for range zygoteJobs {
		acquireZygote(t, warm)
	}
}

// The ready sandboxes of a retired zygote are replaced even if no job takes them, and the zygote
// ends without a warning.
func TestPoolReplacesIdleSandboxes(t *testing.T) {
	t.Parallel()
	const zygoteJobs, ready = 6, 3
	logged := newComplaints()
	warm := openPlain(t, ready, zygoteJobs, slog.New(logged), nil)
	first := acquireZygote(t, warm)
	for range zygoteJobs - ready {
		acquireZygote(t, warm)
	}
	select {
	case <-first.jail.gone:
	case <-time.After(20 * time.Second):
		t.Fatal("the retired zygote does not end")
	}
	for range ready {
		if acquireZygote(t, warm) == first {
			t.Error("a sandbox of the retired zygote was handed out after its end")
		}
	}
	if lines := logged.all(); len(lines) > 0 {
		t.Errorf("logged: %s", strings.Join(lines, "\n"))
	}
}

// A zygote that does not die, as in uninterruptible sleep, delays the end of the worker for a
// bounded time. Here nsjail is stopped and reaps nothing.
func TestPoolClosesBesideAZygoteThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	logged := newComplaints()
	cold := openCold(t, func(s *Settings) { s.Preload, s.PreloadOnDemand = nil, nil })
	warm, err := NewWarm(t.Context(), cold.host, 1, slog.New(logged))
	if err != nil {
		t.Fatal(err)
	}
	z := acquireZygote(t, warm)
	nsjail := z.jail.cmd.Process
	if err := nsjail.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		warm.Close()
	}()
	select {
	case <-closed:
		if got := strings.Join(logged.all(), "\n"); !strings.Contains(got, "a zygote does not die") {
			t.Errorf("logged: %s", got)
		}
	case <-time.After(teardownBound + forkBound + 10*time.Second):
		t.Error("closing waits for a zygote that does not end")
	}
	if err := nsjail.Signal(unix.SIGCONT); err != nil {
		t.Error(err)
	}
	<-closed
	<-z.jail.gone
	if err := removeGroup(z.group); err != nil { // the host checks that it is gone
		t.Error(err)
	}
}

// A zygote that hangs while no job runs in it delays the next job by the time limit of a fork, not
// also by the teardown of the missing fork.
func TestPoolReplacesAZygoteThatHangs(t *testing.T) {
	t.Parallel()
	logged := newComplaints()
	warm := openPlain(t, 1, 1000, slog.New(logged), nil)
	idle, err := warm.Acquire(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Discard()
	first := idle.processes.(*fork).zygote
	for _, pid := range childrenOf(t, first.jail.cmd.Process.Pid) {
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	// One fork may have been prepared before the zygote was stopped.
	for {
		s, err := warm.Acquire(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Discard)
		if s.processes.(*fork).zygote != first {
			break
		}
	}
	if text := strings.Join(logged.all(), "\n"); strings.Contains(text, "does not die") {
		t.Errorf("it waited for a teardown: %s", text)
	}
	first.jail.kill() // so that no teardown waits for its processes
}

// With every user id in use, acquire returns an error; later it returns the id that was released.
func TestHostSlotUIDsAreBounded(t *testing.T) {
	t.Parallel()
	c := &hostSlot{uidBase: 1000, inUse: map[int]bool{}}
	for range jobUIDs {
		if _, err := c.acquire(); err != nil {
			t.Fatal(err)
		}
	}
	if id, err := c.acquire(); err == nil {
		t.Fatalf("id %d was acquired twice", id)
	}
	c.release(1007)
	if id, err := c.acquire(); err != nil || id != 1007 {
		t.Errorf("%d, %v", id, err)
	}
}

// There are enough user ids for MaxReady ready sandboxes and the jobs beside them. More are refused
// before a sandbox is made.
func TestIDsSufficeForWhatIsReady(t *testing.T) {
	t.Parallel()
	if needed := uidsNeeded(MaxReady); needed > jobUIDs {
		t.Errorf("%d ready sandboxes need %d ids of %d", MaxReady, needed, jobUIDs)
	}
	if _, err := NewProvider(t.Context(), nil, MaxReady+1, testLogger(t)); err == nil {
		t.Error("more were not refused")
	}
}
