package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/kernfile"
	"cellblock/internal/nsjail/procstat"
)

// ExitWatcher reads the exit status of a process before the process is dead. The kernel reports the
// wait status only after it has removed the process's namespaces, which takes several times as long
// as a short script. But the status is final earlier: it cannot change once the process has begun
// to exit.
type ExitWatcher struct {
	stat *os.File // /proc/<pid>/stat; held open, it never shows another process
}

// Indexes of the fields of /proc/<pid>/stat after the program's name (proc_pid_stat(5)), from 0.
const (
	statFlags     = 6
	statThreads   = 17
	statStartCode = 23
	statExitCode  = 49
)

// flagExiting is PF_EXITING (include/linux/sched.h).
const flagExiting = 0x4

// exitCodeShownEarly reports whether this kernel sets the exit code of a process before it marks its last
// thread as exiting (synchronize_group_exit in kernel/exit.c), and shows it (fs/proc/array.c):
// Linux 5.18 and later.
var exitCodeShownEarly = sync.OnceValue(func() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || major == 5 && minor >= 18
})

// NewExitWatcher opens the stat file of the process behind a pidfd. It returns an error if this kernel or /proc does
// not show its exit code early. The process must be confined already and not run user code yet; the caller must call
// Close.
func NewExitWatcher(pidfd int) (*ExitWatcher, error) {
	if !exitCodeShownEarly() {
		return nil, errors.New("this kernel does not show exit codes early")
	}
	pid, err := PIDOf(pidfd)
	if err != nil {
		return nil, err
	}
	stat, err := kernfile.OpenForReading("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	w := &ExitWatcher{stat: stat}
	line, err := w.read()
	switch {
	case err != nil:
	case line.startCode <= hiddenStartCode:
		err = errors.New("/proc hides how processes of the sandbox end")
	case Exited(pidfd):
		// A process id is reused only after its process is reaped. So if that is still alive, the
		// file is its own.
		err = errors.New("the process is dead")
	default:
		return w, nil
	}
	w.Close()
	return nil, err
}

// PIDOf returns the process id behind a pidfd, in the pid namespace of this worker's /proc. It returns an error if the
// process is dead and reaped.
func PIDOf(pidfd int) (int, error) {
	content, err := kernfile.Read("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil || pid <= 0 {
				return 0, fmt.Errorf("no process behind the pidfd: %q", line)
			}
			return pid, nil
		}
	}
	return 0, errors.New("fdinfo names no process")
}

// ExitStatus returns the wait status of the process once it is final; false before.
func (w *ExitWatcher) ExitStatus() (syscall.WaitStatus, bool) {
	first, err := w.read()
	if err != nil || !first.exiting {
		return 0, false
	}
	// The kernel reads the exit code before the flags. If the process began to exit in between, the
	// code in that line is old, so read again.
	last, err := w.read()
	if err == nil && last.startCode == 0 && first.startCode != 0 {
		// The memory of the process went away between the two reads, and with it what could deny
		// access to the exit code; access may have been checked before that. Another read checks it
		// after.
		last, err = w.read()
	}
	if err != nil || last.startCode == hiddenStartCode {
		return 0, false // the process made itself undumpable (ptrace(2))
	}
	return last.status, true
}

// hiddenStartCode is the start address of the program that the kernel shows if it denies access to it and to the exit
// code. A process without memory shows 0.
const hiddenStartCode = 1

// statLine holds the fields of /proc/<pid>/stat that matter here.
type statLine struct {
	exiting   bool
	startCode uint64
	status    syscall.WaitStatus
}

func (w *ExitWatcher) read() (statLine, error) {
	var buffer [1024]byte
	n, err := w.stat.ReadAt(buffer[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return statLine{}, err
	}
	return parseStat(buffer[:n])
}

func parseStat(content []byte) (statLine, error) {
	fields := procstat.Fields(content)
	if len(fields) <= statExitCode {
		return statLine{}, fmt.Errorf("%d fields in a line of stat", len(fields))
	}
	var numbers [4]uint64
	for i, field := range []int{statFlags, statThreads, statStartCode, statExitCode} {
		number, err := strconv.ParseUint(string(fields[field]), 10, 64)
		if err != nil {
			return statLine{}, err
		}
		numbers[i] = number
	}
	return statLine{
		// The first thread may exit before the others; then the status is not final.
		exiting:   numbers[0]&flagExiting != 0 && numbers[1] <= 1,
		startCode: numbers[2],
		status:    syscall.WaitStatus(numbers[3]),
	}, nil
}

// Close closes the stat file.
func (w *ExitWatcher) Close() { _ = w.stat.Close() }

// Exited reports whether the process behind a pidfd is dead.
func Exited(pidfd int) bool {
	ready, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return err != nil && !errors.Is(err, unix.EINTR) || ready > 0
}

// backoff schedules the checks whether a process has begun to exit: at once, then at growing
// intervals, since a script may go on after its report.
type backoff struct {
	timer *time.Timer
	pause time.Duration
}

// A runner that has reported exits within microseconds.
const (
	firstPause   = 20 * time.Microsecond
	longestPause = 20 * time.Millisecond
)

func newBackoff() *backoff { return &backoff{pause: firstPause} }

// due returns the channel of the next check. It is nil, which blocks forever, until start is
// called.
func (b *backoff) due() <-chan time.Time {
	if b.timer == nil {
		return nil
	}
	return b.timer.C
}

func (b *backoff) start() { b.timer = time.NewTimer(0) }

func (b *backoff) next() {
	b.timer.Reset(b.pause)
	b.pause = min(2*b.pause, longestPause)
}

func (b *backoff) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}
