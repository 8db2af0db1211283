package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		line string
		want statLine
		bad  bool
	}{
		"alive": {line: "7 (x) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11 12 4198400 " +
			"1 1 1 1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 0\n", want: statLine{startCode: 4198400}},
		"exiting with 3": {line: "7 (x) R 1 1 1 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11 12 0 0 1 1 " +
			"1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 768\n", want: statLine{exiting: true, status: 3 << 8}},
		"its threads go on": {line: "7 (x) Z 1 1 1 0 -1 4194564 1 2 3 4 5 6 7 8 20 0 2 0 9 10 11 12 0 0 1 1 " +
			"1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 0\n", want: statLine{}},
		"a name that looks like it": {line: "7 (x) R 0 (4) S) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11 " +
			"12 1 0 1 1 1 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 0\n", want: statLine{startCode: 1}},
		"cut short": {line: "7 (x) R 1 1 1 0 -1 4194564", bad: true},
		"nothing":   {line: "", bad: true},
		"a word for a number": {line: "7 (x) R 1 1 1 0 -1 flags 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11 12 0 0 1 1 1 " +
			"0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 1 1 1 1 1 1 768\n", bad: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat([]byte(test.line))
			if (err != nil) != test.bad || got != test.want {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// A process that is not reaped yet stays in the state of exiting, so the test can check it.
func TestExitWatcher(t *testing.T) {
	t.Parallel()
	if !exitCodeShownEarly() {
		t.Fatal("this kernel is older than the one that the tests are for (5.18)")
	}
	tests := map[string]struct {
		script string
		want   syscall.WaitStatus
	}{
		"returns":   {"read x; exit 0", 0},
		"exit code": {"read x; exit 7", 7 << 8},
		"killed":    {"read x; kill -9 $$", syscall.WaitStatus(syscall.SIGKILL)},
		"aborted":   {"ulimit -c 0; read x; kill -ABRT $$", syscall.WaitStatus(syscall.SIGABRT)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pidfd := -1
			cmd := exec.Command("sh", "-c", "echo; "+test.script)
			cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
			stdin, inErr := cmd.StdinPipe()
			stdout, outErr := cmd.StdoutPipe()
			if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
				t.Fatal(err)
			}
			if _, err := stdout.Read(make([]byte, 1)); err != nil { // the exec is done
				t.Fatal(err)
			}
			process := os.NewFile(uintptr(pidfd), "process")
			defer process.Close()
			w, err := NewExitWatcher(pidfd)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if status, ok := w.ExitStatus(); ok {
				t.Errorf("exited while it waits: %v", status)
			}
			if err := stdin.Close(); err != nil {
				t.Fatal(err)
			}
			polled := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
			n, err := unix.Poll(polled, int(10*time.Second/time.Millisecond))
			for errors.Is(err, unix.EINTR) { // a signal of Go's scheduler
				n, err = unix.Poll(polled, int(10*time.Second/time.Millisecond))
			}
			if n != 1 || err != nil {
				t.Fatalf("it does not end: %v", err)
			}
			if status, ok := w.ExitStatus(); !ok || status != test.want {
				t.Errorf("got %#x, %v; want %#x", status, ok, test.want)
			}
			_ = cmd.Wait()
			if status, ok := w.ExitStatus(); ok {
				t.Errorf("exited after it is gone: %v", status)
			}
		})
	}
}

// A check may coincide with the moment in which a process begins to exit. One in some hundreds did,
// and returned the old exit code.
func TestExitWatcherReturnsTheLastCode(t *testing.T) {
	t.Parallel()
	for range 500 {
		killWatched(t)
	}
}

// killWatched checks a process without pause while it kills itself.
func killWatched(t *testing.T) {
	t.Helper()
	pidfd := -1
	cmd := exec.Command("sh", "-c", "echo; read x; kill -9 $$")
	cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	process := os.NewFile(uintptr(pidfd), "process")
	defer process.Close()
	_, outErr = stdout.Read(make([]byte, 1)) // the exec is done
	w, err := NewExitWatcher(pidfd)
	if err := errors.Join(outErr, err); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var looking sync.WaitGroup
	looking.Go(func() {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			if status, ok := w.ExitStatus(); ok {
				if status != syscall.WaitStatus(syscall.SIGKILL) {
					t.Errorf("got %#x", status)
				}
				return
			}
		}
		t.Error("it never exits")
	})
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	looking.Wait()
	_ = cmd.Wait()
}
