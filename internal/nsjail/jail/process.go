package jail

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/gvisor"
	"cellblock/internal/nsjail/host"
)

// Process is a running nsjail and the processes inside it.
type Process struct {
	cmd *exec.Cmd
	// Gone is closed once nsjail is reaped. Then every process of its pid namespace is dead: nsjail waits for pid 1,
	// and the kernel ends pid 1 last (pid_namespaces(7)).
	Gone <-chan struct{}

	mu    sync.Mutex
	pidfd int // of pid 1 inside; -1 until known
	pid   int // of pid 1 inside; 0 until known
}

// Start starts nsjail with the file config, the arguments args and the descriptors extra, from 3 on. The kernel kills
// it when this program dies: Pdeathsig depends on the thread that forked, so one thread waits until nsjail exits. The
// caller must call Kill, and Close after Gone.
func Start(h *host.Host, config string, args []string, stdout, stderr *os.File, extra []*os.File) (*Process, error) {
	gone := make(chan struct{})
	p := &Process{cmd: command(h, config, args), Gone: gone, pidfd: -1}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = stdout, stderr, extra
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		if h.GVisor {
			err = gvisor.IgnoreMissingCalls() // the thread ends with this goroutine
		} else {
			defer runtime.UnlockOSThread()
		}
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		close(gone)
	}()
	return p, <-started
}

// command returns the command that starts nsjail on this machine.
func command(h *host.Host, config string, args []string) *exec.Cmd {
	attributes := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	all := []string{"--config", config} // the options after it replace what it has
	if h.GVisor {
		all = append(all, gvisor.Options()...)
		attributes.Unshareflags = gvisor.Unshare
	}
	all = append(all, args...)
	cmd := exec.Command(h.Settings.Nsjail, all...) //nolint:gosec,noctx // the command line is ours; Kill ends it
	cmd.Env = []string{}
	cmd.SysProcAttr = attributes
	return cmd
}

// PID returns the process id of nsjail.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// FirstPID returns the process id outside of pid 1 inside; 0 until Watch.
func (p *Process) FirstPID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// PIDs returns the process ids of nsjail and, once it is known, of pid 1 inside.
func (p *Process) PIDs() []int {
	if first := p.FirstPID(); first > 0 {
		return []int{p.PID(), first}
	}
	return []int{p.PID()}
}

// Watch opens pid 1, by its process id outside, so that Kill reaches it directly.
func (p *Process) Watch(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pidfd, p.pid = fd, pid
	return nil
}

// Kill kills every process inside: when pid 1 dies, the kernel kills its namespace. It may be called at any time and
// more than once.
func (p *Process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pidfd >= 0 {
		err := unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0)
		if err == nil || errors.Is(err, unix.ESRCH) {
			return
		}
	}
	// nsjail's child asked the kernel to be killed with it (PR_SET_PDEATHSIG).
	_ = p.cmd.Process.Kill()
}

// Close releases what Watch opened.
func (p *Process) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
		p.pidfd = -1
	}
}
