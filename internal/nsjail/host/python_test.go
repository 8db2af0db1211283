package host

import (
	"os"
	"strings"
	"testing"
)

func TestDefaultPrefix(t *testing.T) {
	t.Setenv("CELLBLOCK_PREFIX", "/elsewhere")
	s := defaultSettings(t)
	if s.Nsjail != "/elsewhere/bin/nsjail" || s.Python != "/elsewhere/bin/python3" {
		t.Errorf("%s, %s", s.Nsjail, s.Python)
	}
	if _, err := Open(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "CELLBLOCK_PREFIX") {
		t.Errorf("no word on the setting: %v", err)
	}
	t.Setenv("CELLBLOCK_PREFIX", "")
	if got := DefaultPrefix(); got != "/opt/cellblock" {
		t.Errorf("without the variable: %s", got)
	}
}

// A Python that the sandbox's own directories hide is refused with the reason, also if only its
// packages are there.
func TestHiddenPythonIsRefused(t *testing.T) {
	t.Parallel()
	s := defaultSettings(t)
	for _, python := range []string{"/tmp/x/bin/python3", "/opt/../tmp/x/bin/python3", "/dev/shm/x/bin/python3"} {
		s.Python = python
		_, err := Open(t.Context(), s, nil)
		if err == nil || !strings.Contains(err.Error(), "which each sandbox has of its own") {
			t.Errorf("%s: %v", python, err)
		}
	}
	if _, err := (interpreter{Prefix: "/opt/x", Base: "/tmp/y"}).mounts(); err == nil {
		t.Error("a base below /tmp was taken")
	}
	if mounts, err := (interpreter{Prefix: "/tmpfoo", Base: "/usr"}).mounts(); err != nil || len(mounts) != 1 {
		t.Errorf("%v, %v", mounts, err)
	}
}

// A RUN_DIR that another user made is refused: that user could change the programs that run in
// every sandbox.
func TestRunDirOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs root")
	}
	s := defaultSettings(t)
	s.RunDir = t.TempDir()
	if err := os.Chown(s.RunDir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), s, nil)
	if err == nil || !strings.Contains(err.Error(), "RUN_DIR") ||
		!strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("got %v", err)
	}
}
