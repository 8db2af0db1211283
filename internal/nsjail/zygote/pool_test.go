package zygote

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/sandboxtest"

	"golang.org/x/sys/unix"
)

// openPlain opens warm sandboxes with a plain zygote that is replaced after zygoteJobs forks.
func openPlain(t *testing.T, ready int, zygoteJobs int64, logger *slog.Logger, change func(*settings)) *Provider {
	t.Helper()
	return openLogged(t, ready, logger, func(s *settings) {
		s.Zygote.Preload, s.Zygote.PreloadOnDemand, s.Zygote.Jobs = nil, nil, zygoteJobs
		if change != nil {
			change(s)
		}
	})
}

// gatedNsjail is an nsjail that does not start while the gate is shut.
func gatedNsjail(t *testing.T) (program string, shut, open func()) {
	t.Helper()
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	program = filepath.Join(dir, "nsjail")
	nsjail := sandboxtest.Defaults[host.Settings](t).Nsjail
	text := fmt.Sprintf("#!/bin/sh\n[ -p %s ] && read -r _ <%s\nexec %s \"$@\"\n", gate, gate, nsjail)
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
func acquireZygote(t *testing.T, warm *Provider) *zygote {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := warm.plain.acquire(ctx)
	if err != nil {
		t.Fatalf("no sandbox: %v", err)
	}
	if o := s.Run(t.Context(), "def main(): return 1", jobs.EntryMain, nil); o.Failure != nil {
		t.Fatalf("%+v", *o.Failure)
	}
	return s.fork.zygote
}

// openWithoutSuccessors opens a plain pool and returns its first zygote, which gets no successor until open is called;
// that happens at the end of the test at the latest.
func openWithoutSuccessors(
	t *testing.T, ready int, zygoteJobs int64,
) (warm *Provider, first *zygote, open func()) {
	t.Helper()
	program, shut, open := gatedNsjail(t)
	warm = openPlain(t, ready, zygoteJobs, sandboxtest.Logger(t), func(s *settings) { s.Nsjail = program })
	first = acquireZygote(t, warm)
	shut()
	open = sync.OnceFunc(open)
	t.Cleanup(open)
	return warm, first, open
}

// Jobs get sandboxes while the successor of a zygote starts.
func TestPoolServesWhileTheSuccessorStarts(t *testing.T) {
	t.Parallel()
	const zygoteJobs = 8
	warm, first, open := openWithoutSuccessors(t, 2, zygoteJobs)
	for range zygoteJobs + 2 {
		if z := acquireZygote(t, warm); z != first {
			t.Fatal("a zygote started through a gate that is shut")
		}
	}
	open()
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
	warm, first, open := openWithoutSuccessors(t, 1, zygoteJobs)
	for !first.isRetired() {
		acquireZygote(t, warm)
	}
	if got := first.forkCount.Load(); got != 2*zygoteJobs {
		t.Errorf("%d forks, want %d", got, 2*zygoteJobs)
	}
	open()
	for range zygoteJobs {
		acquireZygote(t, warm)
	}
}

// The ready sandboxes of a retired zygote are replaced even if no job takes them, and the zygote
// ends without a warning.
func TestPoolReplacesIdleSandboxes(t *testing.T) {
	t.Parallel()
	const zygoteJobs, ready = 6, 3
	logged := sandboxtest.NewWarnings()
	warm := openPlain(t, ready, zygoteJobs, slog.New(logged), nil)
	first := acquireZygote(t, warm)
	for range zygoteJobs - ready {
		acquireZygote(t, warm)
	}
	select {
	case <-first.jail.Gone:
	case <-time.After(20 * time.Second):
		t.Fatal("the retired zygote does not end")
	}
	for range ready {
		if acquireZygote(t, warm) == first {
			t.Error("a sandbox of the retired zygote was handed out after its end")
		}
	}
	if lines := logged.All(); len(lines) > 0 {
		t.Errorf("logged: %s", strings.Join(lines, "\n"))
	}
}

// A zygote that does not die, as in uninterruptible sleep, delays the end of the worker for a
// bounded time. Here nsjail is stopped and reaps nothing.
func TestPoolClosesBesideAZygoteThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	logged := sandboxtest.NewWarnings()
	warm := openLogged(t, 1,
		slog.New(logged), func(s *settings) { s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, nil })
	z := acquireZygote(t, warm)
	nsjail := z.jail.PID()
	if err := unix.Kill(nsjail, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		warm.Close()
	}()
	select {
	case <-closed:
		if got := strings.Join(logged.All(), "\n"); !strings.Contains(got, "a zygote does not die") {
			t.Errorf("logged: %s", got)
		}
	case <-time.After(sandbox.TeardownBound + forkBound + 10*time.Second):
		t.Error("closing waits for a zygote that does not end")
	}
	if err := unix.Kill(nsjail, unix.SIGCONT); err != nil {
		t.Error(err)
	}
	<-closed
	<-z.jail.Gone
	if err := z.group.Remove(t.Context()); err != nil { // the host checks that it is gone
		t.Error(err)
	}
}

// A zygote that hangs while no job runs in it delays the next job by the time limit of a fork, not
// also by the teardown of the missing fork.
func TestPoolReplacesAZygoteThatHangs(t *testing.T) {
	t.Parallel()
	logged := sandboxtest.NewWarnings()
	warm := openPlain(t, 1, 1000, slog.New(logged), nil)
	idle := acquirePlain(t, warm)
	defer idle.Discard()
	first := idle.fork.zygote
	for _, pid := range sandboxtest.ChildrenOf(t, first.jail.PID()) {
		if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	// One fork may have been prepared before the zygote was stopped.
	for {
		s := acquirePlain(t, warm)
		t.Cleanup(s.Discard)
		if s.fork.zygote != first {
			break
		}
	}
	if text := strings.Join(logged.All(), "\n"); strings.Contains(text, "does not die") {
		t.Errorf("it waited for a teardown: %s", text)
	}
	first.jail.Kill() // so that no teardown waits for its processes
}

// As many sandboxes wait as are kept ready, but for those that jobs have.
func TestSandboxesThatWaitAreCounted(t *testing.T) {
	t.Parallel()
	const ready = 2
	warm := openPlain(t, ready, 1000, sandboxtest.Logger(t), nil)
	counted := func() {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); warm.Ready() != ready; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d sandboxes wait, want %d", warm.Ready(), ready)
			}
		}
	}
	counted()
	for range 2 * ready {
		acquireZygote(t, warm)
	}
	counted()
	warm.Close()
	if n := warm.Ready(); n != 0 {
		t.Errorf("once it is closed %d sandboxes wait", n)
	}
}

// A sandbox that was taken waits no more, even while its successor cannot be made.
func TestATakenSandboxDoesNotWaitForItsSuccessor(t *testing.T) {
	t.Parallel()
	retired := &zygote{retired: make(chan struct{})}
	close(retired.retired)
	p := &pool{ready: make(chan *readySandbox), current: retired, currentChanged: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	var offers sync.WaitGroup
	const several = 10 // some are taken before they notice that their zygote has retired
	for range several {
		s := &readySandbox{fork: &fork{zygote: retired, gone: make(chan struct{})}}
		offers.Go(func() { p.offer(ctx, s) })
	}
	for range several {
		<-p.ready
	}
	for deadline := time.Now().Add(5 * time.Second); p.waiting.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%d sandboxes wait", p.waiting.Load())
			break
		}
	}
	stop()
	offers.Wait()
	if n := p.waiting.Load(); n != 0 {
		t.Errorf("in the end %d wait", n)
	}
}
