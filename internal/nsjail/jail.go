package nsjail

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// jail is a running nsjail and the processes inside it.
type jail struct {
	cmd *exec.Cmd
	// gone is closed once nsjail is reaped. Then every process of its pid namespace is dead: nsjail
	// waits for pid 1, and the kernel ends pid 1 last (pid_namespaces(7)).
	gone chan struct{}

	mu    sync.Mutex
	pidfd int // of pid 1 inside; -1 until known
}

// startJail starts nsjail. The kernel kills it when this program dies: Pdeathsig depends on the
// thread that forked, so one thread waits until nsjail exits.
func startJail(args []string, stdout, stderr *os.File, extra []*os.File) (*jail, error) {
	j := &jail{cmd: exec.Command(args[0], args[1:]...), gone: make(chan struct{}), pidfd: -1} //nolint:gosec,noctx // argv is ours; Kill ends it
	j.cmd.Env = []string{}
	j.cmd.Stdout, j.cmd.Stderr, j.cmd.ExtraFiles = stdout, stderr, extra
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := j.cmd.Start()
		started <- err
		if err == nil {
			_ = j.cmd.Wait()
		}
		close(j.gone)
	}()
	return j, <-started
}

// watch opens pid 1, by its process id outside, so that kill can reach it directly.
func (j *jail) watch(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pidfd = fd
	return nil
}

// kill kills every process inside: when pid 1 dies, the kernel kills its namespace. It may be
// called at any time and more than once.
func (j *jail) kill() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pidfd >= 0 {
		err := unix.PidfdSendSignal(j.pidfd, unix.SIGKILL, nil, 0)
		if err == nil || errors.Is(err, unix.ESRCH) {
			return
		}
	}
	// nsjail's child asked the kernel to be killed with it (PR_SET_PDEATHSIG).
	_ = j.cmd.Process.Kill()
}

func (j *jail) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pidfd >= 0 {
		_ = unix.Close(j.pidfd)
		j.pidfd = -1
	}
}
