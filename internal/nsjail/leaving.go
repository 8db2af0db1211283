package nsjail

import (
	"bytes"
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
)

// leaving watches a process from outside for how it will end. The kernel tells
// a wait status only after it has taken the process's namespaces down, which
// takes several times as long as a short script. The status itself is settled
// before: a process that has begun to exit ends with that code, whatever comes.
type leaving struct {
	stat *os.File // /proc/<pid>/stat, held open: it never becomes another process's
}

// Fields of /proc/<pid>/stat behind the program's name (proc_pid_stat(5)), from 0.
const (
	statFlags     = 6
	statThreads   = 17
	statStartCode = 23
	statExitCode  = 49
)

// flagExiting is PF_EXITING (include/linux/sched.h).
const flagExiting = 0x4

// settlesEarly reports whether this kernel settles the exit code of a process
// before it marks a last thread as exiting: from Linux 5.18 on it does
// (synchronize_group_exit in kernel/exit.c), and shows it (fs/proc/array.c).
var settlesEarly = sync.OnceValue(func() bool {
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

// watchLeaving finds the process behind a pidfd. It fails where /proc does not
// show it or may not tell of it: then only the wait status does.
func watchLeaving(pidfd int) (*leaving, error) {
	pid, err := pidOf(pidfd)
	if err != nil {
		return nil, err
	}
	stat, err := os.Open("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	l := &leaving{stat: stat}
	now, err := l.read()
	switch {
	case err != nil:
	case now.startCode <= untold:
		err = errors.New("/proc hides how processes of the sandbox end")
	case exited(pidfd):
		// A number is used again only after its process was reaped: alive still,
		// it was this one's when the file was opened.
		err = errors.New("the process is dead")
	default:
		return l, nil
	}
	l.close()
	return nil, err
}

// pidOf gives the process id behind a pidfd, as this worker's /proc knows it.
func pidOf(pidfd int) (int, error) {
	content, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
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

// settled gives the wait status that the process will end with, once that can
// no longer change.
func (l *leaving) settled() (syscall.WaitStatus, bool) {
	seen, err := l.read()
	if err != nil || !seen.exiting {
		return 0, false
	}
	// The kernel takes the exit code before it looks at the flags, and the process
	// may have begun to exit in between: the code is from before then. A look that
	// begins only now has the last one.
	now, err := l.read()
	if err == nil && now.startCode == 0 && seen.startCode != 0 {
		// Its memory is gone, and with it what could forbid us to see; but perhaps
		// only after that was asked. The next time it was not.
		now, err = l.read()
	}
	if err != nil || now.startCode == untold {
		return 0, false // untold: the process made itself undumpable (ptrace(2))
	}
	return now.status, true
}

// untold is what the kernel shows for the start of the program where it does not
// show it, nor the exit code; without memory it is 0.
const untold = 1

// statLine is what counts of /proc/<pid>/stat.
type statLine struct {
	exiting   bool
	startCode uint64
	status    syscall.WaitStatus
}

func (l *leaving) read() (statLine, error) {
	var buffer [1024]byte
	n, err := l.stat.ReadAt(buffer[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return statLine{}, err
	}
	return parseStat(buffer[:n])
}

func parseStat(content []byte) (statLine, error) {
	// The name is the script's to choose; what follows its last ")" is not.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
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
		// A first thread may leave before the others; then nothing is settled.
		exiting:   numbers[0]&flagExiting != 0 && numbers[1] <= 1,
		startCode: numbers[2],
		status:    syscall.WaitStatus(numbers[3]),
	}, nil
}

func (l *leaving) close() { _ = l.stat.Close() }

// backoff says when to ask again whether a process has begun to exit: at once,
// then ever later, since a script may also report and go on.
type backoff struct {
	timer *time.Timer
	pause time.Duration
}

// First and longest pause. A runner that has reported exits within microseconds.
const (
	firstPause   = 20 * time.Microsecond
	longestPause = 20 * time.Millisecond
)

func newBackoff() *backoff { return &backoff{pause: firstPause} }

// due gives the channel to wait on; nil, which never is, until it was started.
func (b *backoff) due() <-chan time.Time {
	if b.timer == nil {
		return nil
	}
	return b.timer.C
}

func (b *backoff) start() { b.timer = time.NewTimer(0) }

func (b *backoff) again() {
	b.timer.Reset(b.pause)
	b.pause = min(2*b.pause, longestPause)
}

func (b *backoff) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}
