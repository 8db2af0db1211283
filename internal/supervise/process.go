package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// outputWait bounds the wait for output after a process has ended: a
	// grandchild may hold the pipe open.
	outputWait = time.Second
	// killWait bounds the wait for a process after SIGKILL: one that hangs in
	// the kernel must not hang the supervisor as well.
	killWait = 5 * time.Second
)

// Program is what to start.
type Program struct {
	// Name stands before each line of its output.
	Name string
	// Path is the executable.
	Path string
	// Args follow the program's name.
	Args []string
	// Env is the whole environment.
	Env []string
	// Inherit are files that it gets as descriptors 3, 4, … and may ignore. The
	// caller goes on owning them.
	Inherit []*os.File
	// StopWait is how long it may take to end after SIGTERM; then it is killed.
	StopWait time.Duration
	// DeathSignal is what the kernel sends it when the supervisor dies;
	// 0 means SIGKILL.
	DeathSignal syscall.Signal
}

// Process is a started Program. It is the leader of a process group of its own,
// so that Ctrl-C at the terminal reaches the supervisor only.
type Process struct {
	program  Program
	cmd      *exec.Cmd
	output   *lineWriter
	stopping atomic.Bool
	done     chan struct{} // closed once it is gone and its output is printed
	err      error         // valid after done: what Wait gave
}

func newProcess(program Program, output *Output) *Process {
	death := program.DeathSignal
	if death == 0 {
		death = syscall.SIGKILL
	}
	p := &Process{program: program, output: output.lines(program.Name), done: make(chan struct{})}
	// Not CommandContext: a process ends when Stop or Close says so, by steps.
	p.cmd = &exec.Cmd{
		Path:        program.Path,
		Args:        append([]string{program.Path}, program.Args...),
		Env:         program.Env,
		ExtraFiles:  program.Inherit,
		Stdout:      p.output,
		Stderr:      p.output,
		WaitDelay:   outputWait,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death},
	}
	return p
}

// Name is the program's name.
func (p *Process) Name() string { return p.program.Name }

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the process is gone and all of its output is printed.
func (p *Process) Done() <-chan struct{} { return p.done }

// wait reaps the process; it is the one that closes done.
func (p *Process) wait() {
	p.err = p.cmd.Wait()
	if errors.Is(p.err, exec.ErrWaitDelay) {
		p.err = nil // it ended well; only somebody held its output
	}
	p.killGroup() // what the process left behind
	p.output.flush()
	close(p.done)
}

// failure says how the process ended. Only after Done.
func (p *Process) failure() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	if last := p.output.lastLine(); last != "" {
		return fmt.Errorf("%s ended unexpectedly (%s); its last line: %s", p.program.Name, how, last)
	}
	return fmt.Errorf("%s ended unexpectedly (%s), without a word", p.program.Name, how)
}

// terminate asks the process to end.
func (p *Process) terminate() {
	p.stopping.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
}

// awaitEnd waits for a process that was asked to end, until the deadline or
// until ctx is done; then it kills it. The error says that it had to.
func (p *Process) awaitEnd(ctx context.Context, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	why := "it did not end in time"
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		select {
		case <-p.done: // as well
			return nil
		default:
			why = "told to"
		}
	}
	return errors.Join(fmt.Errorf("killed %s: %s", p.program.Name, why), p.kill())
}

// kill ends the process and its group at once. For one that has ended it does
// nothing: its number may be somebody else's by now.
func (p *Process) kill() error {
	p.stopping.Store(true)
	select {
	case <-p.done:
		return nil
	default:
	}
	_ = p.cmd.Process.Kill() // fails only if it has ended
	p.killGroup()
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s (process %d) does not end even when killed", p.program.Name, p.PID())
	}
}

// killGroup kills whatever is in the process's group. It fails only if nothing is.
func (p *Process) killGroup() { _ = syscall.Kill(-p.PID(), syscall.SIGKILL) }
