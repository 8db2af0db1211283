package host

import (
	"strings"
	"testing"
)

func TestProcCovered(t *testing.T) {
	t.Parallel()
	const own = "557 507 0:134 / /proc rw,relatime - proc proc rw\n"
	for _, c := range []struct {
		name, more string
		covered    bool
	}{
		{"a machine", "", false},
		{"a machine with systemd", "30 25 0:28 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n", false},
		{"read-only parts", "397 557 0:134 /bus /proc/bus ro - proc proc rw\n", true},
		{"masked parts", "607 557 0:135 /null /proc/keys rw,nosuid - tmpfs tmpfs rw\n", true},
	} {
		if got := procCovered(mountPoints(own + c.more)); got != c.covered {
			t.Errorf("%s: covered is %v", c.name, got)
		}
	}
}

// TestNothingIsMissingHere checks that no reason is found where sandboxes can be made.
func TestNothingIsMissingHere(t *testing.T) {
	t.Parallel()
	s := defaultSettings(t)
	if !s.canUnshare() {
		t.Error("namespaces can be made, and canUnshare reports that they cannot")
	}
	if text := s.denials(); strings.Contains(text, "namespaces") || strings.Contains(text, "/proc") {
		t.Error(text)
	}
}
