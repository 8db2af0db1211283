package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restartsAtOnce returns a policy with short pauses, and the channel of its reports.
func restartsAtOnce(limit int) (Restarts, <-chan Restart) {
	reports := make(chan Restart, limit)
	return Restarts{
		Pause: time.Millisecond, Limit: limit, Window: time.Minute,
		Report: func(r Restart) { reports <- r },
	}, reports
}

func TestKilledProcessIsRestarted(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	policy, reports := restartsAtOnce(3)
	g.EnableRestarts(policy)
	p := mustStart(t, g, shell("api", `echo up $$; while :; do sleep 0.01; done`))
	first := p.PID()
	out.waitFor(t, fmt.Sprint("api    | up ", first))
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	want := Restart{
		Name: "api", Exit: fmt.Sprintf("(signal: killed); its last line: up %d", first), Count: 1,
		Pause: time.Millisecond,
	}
	if got := <-reports; got != want {
		t.Errorf("reported %+v, want %+v", got, want)
	}
	out.waitUntil(t, "a second start", func(text string) bool { return strings.Count(text, "| up ") == 2 })
	second := p.PID()
	if !strings.HasSuffix(out.String(), fmt.Sprintf("api    | up %d\n", second)) || second == first {
		t.Errorf("process %d follows %d in:\n%s", second, first, out)
	}
	if err := g.Stop(t.Context(), p); err != nil {
		t.Error(err)
	}
	<-p.Done()
	select {
	case err := <-g.Failed():
		t.Errorf("reported as a failure: %v", err)
	default:
	}
}

func TestAProcessThatEndsTooOftenHasFailed(t *testing.T) {
	t.Parallel()
	g := newGroup(t, newTerminal())
	policy, reports := restartsAtOnce(3)
	g.EnableRestarts(policy)
	p := mustStart(t, g, shell("api", "echo no room >&2; exit 3"))
	want := "api ended 4 times within 1m0s; the last time (exit status 3); its last line: no room"
	if got := (<-g.Failed()).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	<-p.Done()
	for n, pause := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond} {
		if got := <-reports; got.Count != n+1 || got.Pause != pause {
			t.Errorf("restart %d: %+v, want a pause of %s", n+1, got, pause)
		}
	}
}

// A failed start counts as an exit: the program's file may be about to be replaced.
func TestMissingProgramIsRetried(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	policy, _ := restartsAtOnce(2)
	g.EnableRestarts(policy)
	path := filepath.Join(t.TempDir(), "program")
	script := "#!/bin/sh\necho up; while [ -e $0 ]; do sleep 0.01; done\n" // exits once its file is removed
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	program := shell("api", "")
	program.Path = path
	p := mustStart(t, g, program)
	out.waitFor(t, "up")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := (<-g.Failed()).Error(); !strings.HasPrefix(got,
		"api ended 3 times within 1m0s; the last time (cannot start api: ") {
		t.Errorf("got %q", got)
	}
	<-p.Done()
}

func TestStopDoesNotWaitForARestart(t *testing.T) {
	t.Parallel()
	out := newTerminal()
	g := newGroup(t, out)
	policy, reports := restartsAtOnce(3)
	policy.Pause = time.Hour
	g.EnableRestarts(policy)
	p := mustStart(t, g, shell("api", "echo up; exit 1"))
	<-reports
	if err := g.Stop(t.Context(), p); err != nil {
		t.Error(err)
	}
	<-p.Done()
	if got := strings.Count(out.String(), "| up"); got != 1 {
		t.Errorf("%d starts, want 1", got)
	}
}

func TestOldEndsDoNotCount(t *testing.T) {
	t.Parallel()
	var past exitTimes
	begin := time.Now()
	for _, c := range []struct{ seconds, want int }{{0, 1}, {30, 2}, {60, 3}, {61, 3}, {91, 3}, {300, 1}} {
		if got := past.add(begin.Add(time.Duration(c.seconds)*time.Second), time.Minute); got != c.want {
			t.Errorf("after %d s there were %d ends within a minute, want %d", c.seconds, got, c.want)
		}
	}
}
