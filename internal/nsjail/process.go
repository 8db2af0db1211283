package nsjail

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one nsjail and what runs inside it.
type process struct {
	cmd *exec.Cmd
	// gone is closed once nsjail was reaped: then every process of its pid
	// namespace is dead, for nsjail waits for pid 1 and the kernel lets pid 1
	// go last (pid_namespaces(7)).
	gone chan struct{}

	mu    sync.Mutex
	pidfd int // of pid 1 inside; -1 until it is known
}

// startProcess starts nsjail. It dies with this program: Pdeathsig follows the
// thread that forked, so one thread stays with it until the end.
func startProcess(args []string, stdout, stderr *os.File, extra []*os.File) (*process, error) {
	p := &process{cmd: exec.Command(args[0], args[1:]...), gone: make(chan struct{}), pidfd: -1} //nolint:gosec,noctx // argv is ours; Kill ends it
	p.cmd.Env = []string{}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = stdout, stderr, extra
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(p.gone)
	}()
	return p, <-started
}

// watch takes pid 1's id outside, so that kill can reach it directly.
func (p *process) watch(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pidfd = fd
	return nil
}

// kill ends everything inside: the death of pid 1 is the death of its namespace.
// It may be called at any time and more than once.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pidfd >= 0 {
		err := unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0)
		if err == nil || errors.Is(err, unix.ESRCH) {
			return
		}
	}
	// nsjail's child asked to be killed with it (PR_SET_PDEATHSIG).
	_ = p.cmd.Process.Kill()
}

// wait waits until everything inside is dead; false means that the bound passed.
func (p *process) wait(bound time.Duration) bool {
	select {
	case <-p.gone:
		return true
	case <-time.After(bound):
		return false
	}
}

func (p *process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
		p.pidfd = -1
	}
}
