package nsjail

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

// exitStatus is how the script's process ended, from wait4 of the supervisor or the zygote. It is all
// zero if that is not known.
type exitStatus struct {
	known  bool
	status syscall.WaitStatus
	// cpu is the user and system time of the process and of the children that it waited for.
	cpu time.Duration
}

// awaitSupervisor reads the supervisor's "ready" and returns the process id of pid 1 outside, which
// the kernel attaches to the message (SCM_CREDENTIALS, unix(7)).
func awaitSupervisor(status *net.UnixConn) (pid int, err error) {
	m, err := receive(status)
	if err != nil {
		return 0, err
	}
	if text := strings.TrimSpace(m.text); text != "ready" {
		return 0, fmt.Errorf("the supervisor reported: %s", text)
	}
	if m.sender != 0 {
		return m.sender, nil
	}
	return 0, errors.New("no credentials came with the supervisor's message")
}

// readExitStatus reads the supervisor's last line. The status is unknown if the supervisor was killed
// before it could write one.
func readExitStatus(status io.Reader) exitStatus {
	line, err := bufio.NewReader(io.LimitReader(status, 512)).ReadString('\n')
	if err != nil {
		return exitStatus{}
	}
	var raw uint32
	var user, system int64
	if n, err := fmt.Sscanf(line, "status %d %d %d\n", &raw, &user, &system); n != 3 || err != nil {
		return exitStatus{}
	}
	return exitStatus{
		known: true, status: syscall.WaitStatus(raw),
		cpu: time.Duration(user+system) * time.Microsecond,
	}
}
