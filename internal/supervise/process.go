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

// Process is a started Program, through all of its restarts. Each run is the
// leader of a process group of its own, so that Ctrl-C at the terminal reaches the
// supervisor only.
type Process struct {
	program Program
	output  *lineWriter
	asked   chan struct{} // closed once the process is asked to end: it is not started again
	done    chan struct{} // closed once it is gone for good and its output is printed

	mu      sync.Mutex
	cmd     *exec.Cmd // the latest run
	running bool      // cmd has not been reaped
}

func newProcess(program Program, output *Output) *Process {
	return &Process{
		program: program,
		output:  output.lines(program.Name),
		asked:   make(chan struct{}),
		done:    make(chan struct{}),
	}
}

// command is what one run executes.
func (p *Process) command() *exec.Cmd {
	death := p.program.DeathSignal
	if death == 0 {
		death = syscall.SIGKILL
	}
	// Not CommandContext: a process ends when Stop or Close asks it to, by steps.
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

// launch starts a run by way of spawn, unless the process was asked to end.
func (p *Process) launch(spawn func(*exec.Cmd) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isAsked() {
		return errors.New("asked to end")
	}
	p.output.forgetLast()
	cmd := p.command()
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.program.Name, err)
	}
	p.cmd, p.running = cmd, true
	return nil
}

// wait reaps the run and returns how it ended; nil is exit status 0. Only the
// goroutine that watches the process calls it.
func (p *Process) wait() error {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; only its output was held open
	}
	p.mu.Lock()
	p.killGroup() // what the process left behind
	p.running = false
	p.mu.Unlock()
	p.output.flush() // without the lock: a terminal that stands still must not hold up a stop
	return err
}

// ending describes how a run ended.
func (p *Process) ending(err error) string {
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	if last := p.output.lastLine(); last != "" {
		return fmt.Sprintf("(%s); its last line: %s", how, last)
	}
	return fmt.Sprintf("(%s), without a word", how)
}

// ask notes that the process is to end. p.mu is held.
func (p *Process) ask() {
	if !p.isAsked() {
		close(p.asked)
	}
}

func (p *Process) isAsked() bool {
	select {
	case <-p.asked:
		return true
	default:
		return false
	}
}

// pause waits before a restart; it reports false if the process is asked to end.
func (p *Process) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.asked:
		return false
	}
}

// terminate asks the process to end.
func (p *Process) terminate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask()
	if p.running {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	}
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
// nothing: its number may be another's by now.
func (p *Process) kill() error {
	p.mu.Lock()
	p.ask()
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
		return fmt.Errorf("%s (process %d) does not end even when killed", p.program.Name, p.PID())
	}
}

// killGroup kills whatever is in the group of the latest run; it fails only if
// nothing is. p.mu is held.
func (p *Process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
