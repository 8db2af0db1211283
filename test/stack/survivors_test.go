package stack

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSurvivors checks that an orphan counts, in any session, until it is dead.
func TestSurvivors(t *testing.T) {
	if err := AdoptOrphans(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "setsid sleep 1234.5 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(out), &pid); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(strings.Join(Survivors(0), "\n"), "sleep 1234.5") {
		if time.Now().After(deadline) {
			t.Fatalf("the orphan is not seen: %q", Survivors(0))
		}
		time.Sleep(time.Millisecond)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if left := Survivors(5 * time.Second); len(left) != 0 {
		t.Errorf("the dead still count: %q", left)
	}
}

// TestLog checks that a log keeps the beginning and the end.
func TestLog(t *testing.T) {
	l := newLog()
	fmt.Fprintln(l, `{"msg":"listening","addr":"x:1"}`)
	for range 40 {
		fmt.Fprint(l, strings.Repeat("y", maxLogBytes/10), "\n")
	}
	fmt.Fprintln(l, `{"msg":"the end"}`)
	text := l.text()
	if !strings.HasPrefix(text, `{"msg":"listening"`) || !strings.HasSuffix(text, "\"the end\"}\n") ||
		len(text) > 4*maxLogBytes {
		t.Errorf("%d bytes are kept: %.40q … %q", len(text), text, text[len(text)-40:])
	}
	p := &Process{log: l}
	if got := p.Logged("listening", "addr", nil); got != "x:1" {
		t.Errorf("the address is %q", got)
	}
	if got := p.Logged("listening", "addr", map[string]string{"addr": "y"}); got != "" {
		t.Errorf("another line was taken: %q", got)
	}
}
