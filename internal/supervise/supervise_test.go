package supervise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// asSupervisor makes the test binary a supervisor for the test to kill.
const asSupervisor = "SUPERVISE_TEST_SUPERVISOR"

func TestMain(m *testing.M) {
	if os.Getenv(asSupervisor) != "" {
		superviseForever()
	}
	goleak.VerifyTestMain(m)
}

// superviseForever prints the pid of a child and waits to be killed.
func superviseForever() {
	g := NewGroup(NewOutput(os.Stderr, 5, false))
	child, err := g.Start(shell("child", "exec sleep 1000"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	select {}
}

func shell(name, script string) Program {
	return Program{
		Name:     name,
		Path:     "/bin/sh",
		Args:     []string{"-c", script},
		Env:      []string{"PATH=" + os.Getenv("PATH")},
		StopWait: 10 * time.Second,
	}
}

// terminal collects what an Output prints, and wakes waitUntil on each write.
type terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func newTerminal() *terminal { return &terminal{news: make(chan struct{}, 1)} }

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case t.news <- struct{}{}:
	default:
	}
	return t.text.Write(p)
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func (t *terminal) waitFor(tb testing.TB, text string) {
	tb.Helper()
	t.waitUntil(tb, text, func(all string) bool { return strings.Contains(all, text) })
}

func (t *terminal) waitUntil(tb testing.TB, what string, is func(text string) bool) {
	tb.Helper()
	late := time.After(10 * time.Second)
	for !is(t.String()) {
		select {
		case <-t.news:
		case <-late:
			tb.Fatalf("%q did not come within 10 s; there is:\n%s", what, t)
		}
	}
}

func newGroup(t *testing.T, out *terminal) *Group {
	t.Helper()
	g := NewGroup(NewOutput(out, 6, false))
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func mustStart(t *testing.T, g *Group, p Program) *Process {
	t.Helper()
	process, err := g.Start(p)
	if err != nil {
		t.Fatal(err)
	}
	return process
}

// ended waits until the process of this pidfd is gone.
func ended(t *testing.T, pidfd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 10_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			t.Fatalf("process is still there after 10 s (%v)", err)
		}
		return
	}
}

func pidfd(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func TestOutputIsPrintedLineByLineUnderItsName(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	p := mustStart(t, g, shell("api", `printf 'one\ntw'; printf 'o\n' >&2; printf 'no end'`))
	<-p.Done()
	if got, want := out.String(), "api    | one\napi    | two\napi    | no end\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestEndlessLineIsBrokenUp(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	w := NewOutput(out, 0, false).lines("x")
	if _, err := w.Write(bytes.Repeat([]byte("a"), 2*maxLine+1)); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("%d lines, want 2", got)
	}
	if len(w.pending) != 1 {
		t.Errorf("%d bytes pending, want 1", len(w.pending))
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	o := NewOutput(out, 3, true)
	_, _ = o.lines("a").Write([]byte("x\n"))
	_, _ = o.lines("b").Write([]byte("y\n"))
	if got, want := out.String(), "\x1b[36ma   |\x1b[0m x\n\x1b[32mb   |\x1b[0m y\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestFailedHasTheExitStatusAndTheLastLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ script, want string }{
		"exit": {
			"echo starting; echo no such thing >&2; echo; exit 3",
			"api ended unexpectedly (exit status 3); its last line: no such thing",
		},
		"signal": {"kill -SEGV $$", "api ended unexpectedly (signal: segmentation fault), without output"},
		"clean":  {"true", "api ended unexpectedly (exit status 0), without output"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, newTerminal())
			mustStart(t, g, shell("api", "ulimit -c 0; "+test.script))
			if got := (<-g.Failed()).Error(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStartOfAMissingProgram(t *testing.T) {
	t.Parallel()
	g := newGroup(t, newTerminal())
	_, err := g.Start(Program{Name: "api", Path: "/no/such/program"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want one of os.ErrNotExist", err)
	}
}

func TestStopWaitsForAGracefulEnd(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	p := mustStart(t, g, shell("api", `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done`))
	out.waitFor(t, "up")
	if err := g.Stop(t.Context(), p); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "api    | bye") {
		t.Errorf("the process had no time to end: %q", out)
	}
	select {
	case err := <-g.Failed():
		t.Errorf("an asked-for end was reported: %v", err)
	default:
	}
}

const deaf = `trap '' TERM; echo up; while :; do sleep 0.01; done`

func TestStopKillsAProcessThatDoesNotExitInTime(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	program := shell("worker", deaf)
	program.StopWait = 50 * time.Millisecond
	p := mustStart(t, g, program)
	out.waitFor(t, "up")
	err := g.Stop(t.Context(), p)
	if err == nil || err.Error() != "killed worker: it did not exit in time" {
		t.Errorf("got %v", err)
	}
	<-p.Done()
}

func TestStopKillsAtOnceWhenItsContextIsDone(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	p := mustStart(t, g, shell("worker", deaf))
	out.waitFor(t, "up")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	if err := g.Stop(ctx, p); err == nil || err.Error() != "killed worker: asked to stop at once" {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestCloseKillsGrandchildrenToo(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := NewGroup(NewOutput(out, 6, false))
	mustStart(t, g, shell("worker", "sleep 1000 & echo grandchild $!; wait"))
	out.waitFor(t, "grandchild")
	grandchild, err := strconv.Atoi(strings.Fields(out.String())[3])
	if err != nil {
		t.Fatal(err)
	}
	fd := pidfd(t, grandchild)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	ended(t, fd)
}

func TestChildrenEndWithTheirSupervisor(t *testing.T) {
	t.Parallel()
	supervisor := exec.CommandContext(t.Context(), os.Args[0])
	supervisor.Env = append(os.Environ(), asSupervisor+"=1")
	stdout, err := supervisor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	fd := pidfd(t, child)
	if err := supervisor.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = supervisor.Wait() // it was killed
	ended(t, fd)
}
