package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// stopBound is longer than any program's shutdown timeout: a worker waits for its longest job.
	stopBound = 45 * time.Second
	// outputBound is the timeout for the output of a process that has exited.
	outputBound = time.Second
)

// Process is one process of a stack. It is safe for concurrent use.
type Process struct {
	// Name identifies it in logs.
	Name string
	cmd  *exec.Cmd
	log  *log
	done chan struct{}
	err  error // valid once done is closed
}

// start runs a program with exactly this environment.
func start(name, path string, args, env []string) (*Process, error) {
	p := &Process{Name: name, log: newLog(), done: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path: path, Args: append([]string{path}, args...), Env: env,
		Stdout: p.log, Stderr: p.log, WaitDelay: outputBound,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		// The death signal is sent when the forking thread ends, so this thread stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if p.err = p.cmd.Start(); p.err == nil {
			started <- nil
			p.err = p.cmd.Wait()
			return
		}
		started <- p.err
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the process has exited and its output is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log returns the output of the process so far.
func (p *Process) Log() string { return p.log.text() }

// Logged returns a field of the first log line that has this message and the given fields; "" if there is none yet.
func (p *Process) Logged(message, field string, with map[string]string) string {
	for _, record := range p.log.records() {
		fits := record["msg"] == message
		for name, value := range with {
			fits = fits && record[name] == value
		}
		if value, ok := record[field].(string); ok && fits {
			return value
		}
	}
	return ""
}

// Signal sends a signal. It does nothing if the process has exited.
func (p *Process) Signal(signal os.Signal) error {
	err := p.cmd.Process.Signal(signal)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Stop sends SIGTERM and waits for the process to exit. It returns an error if the exit status is not 0, or if it had
// to kill the process.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.failure()
	case <-time.After(stopBound):
		p.Kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.Name, stopBound)
	}
}

// Kill sends SIGKILL and waits for the process to exit.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// failure returns nil for exit status 0. Call it after done is closed.
func (p *Process) failure() error {
	if p.err != nil && !errors.Is(p.err, exec.ErrWaitDelay) {
		return fmt.Errorf("%s: %w", p.Name, p.err)
	}
	return nil
}

// await calls ready until it returns true, the process exits, or ctx is done.
func (p *Process) await(ctx context.Context, what string, ready func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended before it was %s: %w\n%s", p.Name, what, p.failure(), p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s is not %s: %w\n%s", p.Name, what, ctx.Err(), p.Log())
		}
	}
	return nil
}
