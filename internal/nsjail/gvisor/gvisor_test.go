package gvisor

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestIgnoreMissingCalls checks, on the kernel of this machine, which calls the filter leaves without effect.
func TestIgnoreMissingCalls(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its filter end with this goroutine
		if err := IgnoreMissingCalls(); err != nil {
			t.Error(err)
			return
		}
		checkSecurebits(t)
		checkRlimits(t)
	}()
	<-done
}

func checkSecurebits(t *testing.T) {
	t.Helper()
	const noSetuidFixup = 1 << 2
	before, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	if err != nil {
		t.Error("another prctl does not work: ", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0); err != nil {
		t.Error("PR_SET_SECUREBITS: ", err)
	}
	if after, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0); err != nil || after != before {
		t.Errorf("the bits changed from %d to %d, %v", before, after, err)
	}
}

func checkRlimits(t *testing.T) {
	t.Helper()
	for _, test := range []struct {
		name     string
		resource int
		changes  bool
	}{
		{"RLIMIT_AS, the last that gVisor has", unix.RLIMIT_AS, true},
		{"RLIMIT_LOCKS, the first that it lacks", unix.RLIMIT_LOCKS, false},
		{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO, false},
	} {
		var before, after unix.Rlimit
		if err := unix.Prlimit(0, test.resource, nil, &before); err != nil {
			t.Errorf("%s cannot be read: %v", test.name, err)
			continue
		}
		changed := before
		changed.Cur = before.Cur/2 + 1 // of this whole program, and still more than it needs
		if before.Cur == 0 {
			changed = unix.Rlimit{Cur: 1, Max: max(before.Max, 1)}
		}
		if err := unix.Prlimit(0, test.resource, &changed, nil); err != nil {
			t.Errorf("%s cannot be set: %v", test.name, err)
		}
		if err := unix.Prlimit(0, test.resource, nil, &after); err != nil {
			t.Errorf("%s cannot be read: %v", test.name, err)
		}
		if (after != before) != test.changes {
			t.Errorf("%s: %v became %v, want a change: %v", test.name, before, after, test.changes)
		}
		if test.changes {
			if err := unix.Prlimit(0, test.resource, &before, nil); err != nil {
				t.Errorf("%s cannot be reset: %v", test.name, err)
			}
		}
	}
}
