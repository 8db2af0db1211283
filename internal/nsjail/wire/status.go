package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// ExitStatus is how the script's process ended, from wait4 of the supervisor or the zygote.
type ExitStatus struct {
	// Known is false if no status was reported; then the other fields are zero.
	Known  bool
	Status syscall.WaitStatus
	// CPU is the user and system time of the process and of the children that it waited for.
	CPU time.Duration
}

// ReadSupervisorReady reads the supervisor's "ready" and returns the process id, outside, of the supervisor (pid 1 of
// its namespace), which the kernel attaches to the message (SCM_CREDENTIALS, unix(7)).
func ReadSupervisorReady(status *net.UnixConn) (pid int, err error) {
	m, err := ReadControl(status)
	if err != nil {
		return 0, err
	}
	if text := strings.TrimSpace(m.Text); text != "ready" {
		return 0, fmt.Errorf("the supervisor reported: %s", text)
	}
	if m.Sender != 0 {
		return m.Sender, nil
	}
	return 0, errors.New("no credentials came with the supervisor's message")
}

// ReadExitStatus reads the supervisor's last line. The status is unknown if the supervisor was killed
// before it could write one.
func ReadExitStatus(status io.Reader) ExitStatus {
	line, err := bufio.NewReader(io.LimitReader(status, 512)).ReadString('\n')
	if err != nil {
		return ExitStatus{}
	}
	var raw uint32
	var user, system int64
	if n, err := fmt.Sscanf(line, "status %d %d %d\n", &raw, &user, &system); n != 3 || err != nil {
		return ExitStatus{}
	}
	return ExitStatus{
		Known: true, Status: syscall.WaitStatus(raw),
		CPU: time.Duration(user+system) * time.Microsecond,
	}
}
