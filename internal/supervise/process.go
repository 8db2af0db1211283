package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// outputWait is the timeout for output after a process has exited: a grandchild may hold the pipe open.
	outputWait = time.Second
	// killWait is the timeout for a process to exit after SIGKILL: if it hangs in the kernel, the supervisor must not
	// hang too.
	killWait = 5 * time.Second
)

// Program is a program to run.
type Program struct {
	// Name precedes each line of its output.
	Name string
	// Path is the executable.
	Path string
	// Args are the arguments, without the program's name.
	Args []string
	// Env is the whole environment.
	Env []string
	// Inherit are files that it inherits as descriptors 3, 4, …. The caller keeps ownership.
	Inherit []*os.File
	// StopWait is the time between SIGTERM and SIGKILL.
	StopWait time.Duration
	// DeathSignal is the signal that the kernel sends it when the supervisor dies; 0 is SIGKILL.
	DeathSignal syscall.Signal
}

// Process is a started Program, through all of its restarts. Each run leads its own process group, so that Ctrl-C at
// the terminal reaches only the supervisor.
type Process struct {
	program  Program
	output   *lineWriter
	stopping chan struct{} // closed by requestStop: the process is not restarted
	done     chan struct{} // closed once it is gone for good and its output is printed

	mu      sync.Mutex
	cmd     *exec.Cmd // the latest run
	running bool      // cmd has not been reaped
}

func newProcess(program Program, output *Output) *Process {
	return &Process{
		program:  program,
		output:   output.lines(program.Name),
		stopping: make(chan struct{}),
		done:     make(chan struct{}),
	}
}

// command returns the command of one run.
func (p *Process) command() *exec.Cmd {
	death := p.program.DeathSignal
	if death == 0 {
		death = syscall.SIGKILL
	}
	// Not CommandContext: Stop and Close end a process, in steps.
	return &exec.Cmd{
		Path:        p.program.Path,
		Args:        append([]string{p.program.Path}, p.program.Args...),
		Env:         p.program.Env,
		ExtraFiles:  p.program.Inherit,
		Stdout:      p.output,
		Stderr:      p.output,
		WaitDelay:   outputWait,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death},
	}
}

// Name is the program's name.
func (p *Process) Name() string { return p.program.Name }

// PID is the process id of the latest run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// Done is closed once the process is gone for good and all of its output is printed.
func (p *Process) Done() <-chan struct{} { return p.done }

// launch starts a run with spawn. It returns an error if the process was asked to end.
func (p *Process) launch(spawn func(*exec.Cmd) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopRequested() {
		return errors.New("stop requested")
	}
	p.output.clearLastLine()
	cmd := p.command()
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.program.Name, err)
	}
	p.cmd, p.running = cmd, true
	return nil
}

// wait reaps the run and returns its error; nil for exit status 0. Only the goroutine that watches the process calls
// it.
func (p *Process) wait() error {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it exited with 0; only its output was held open
	}
	p.mu.Lock()
	p.killGroup() // the process's remaining children
	p.running = false
	p.mu.Unlock()
	p.output.flush() // without the lock: a blocked terminal must not delay Stop
	return err
}

// exitText describes how a run ended, and includes its last line.
func (p *Process) exitText(err error) string {
	status := "exit status 0"
	if err != nil {
		status = err.Error()
	}
	if last := p.output.lastLine(); last != "" {
		return fmt.Sprintf("(%s); its last line: %s", status, last)
	}
	return fmt.Sprintf("(%s), without output", status)
}

// requestStop marks the process as asked to end. p.mu is held.
func (p *Process) requestStop() {
	if !p.stopRequested() {
		close(p.stopping)
	}
}

func (p *Process) stopRequested() bool {
	select {
	case <-p.stopping:
		return true
	default:
		return false
	}
}

// pause waits before a restart. It returns false if the process is asked to end.
func (p *Process) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.stopping:
		return false
	}
}

// terminate sends SIGTERM to the process and disables its restarts.
func (p *Process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requestStop()
	if p.running {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	}
}

// awaitEnd waits for a process that was asked to end. At the deadline, or when ctx is done, it kills the process and
// returns an error.
func (p *Process) awaitEnd(ctx context.Context, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	reason := "it did not exit in time"
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		select {
		case <-p.done: // both are done
			return nil
		default:
			reason = "asked to stop at once"
		}
	}
	return errors.Join(fmt.Errorf("killed %s: %s", p.program.Name, reason), p.kill())
}

// kill kills the process and its group. It does nothing if the process has been reaped, since its id may be reused.
func (p *Process) kill() error {
	p.mu.Lock()
	p.requestStop()
	if p.running {
		_ = p.cmd.Process.Kill() // fails only if it has ended
		p.killGroup()
	}
	p.mu.Unlock()
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s (process %d) does not exit after SIGKILL", p.program.Name, p.PID())
	}
}

// killGroup kills the process group of the latest run; an error means that the group is empty. p.mu is held.
func (p *Process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
