package supervise

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Group is a set of processes that stand or fall together. Its methods are for
// one goroutine; Close must be called.
type Group struct {
	output    *Output
	processes []*Process
	watchers  sync.WaitGroup
	failed    chan error
	starts    chan start
	spawner   sync.WaitGroup
	restarts  atomic.Pointer[Restarts] // nil: no process is started again
}

type start struct {
	cmd    *exec.Cmd
	result chan error
}

// NewGroup makes a group without processes that prints to output.
func NewGroup(output *Output) *Group {
	g := &Group{output: output, failed: make(chan error, 1), starts: make(chan start)}
	g.spawner.Go(g.serveStarts)
	return g
}

// serveStarts starts all processes from one thread that lives as long as the group:
// the kernel sends the death signal when the thread that forked ends, not when
// its process does, and Go ends threads as it likes.
func (g *Group) serveStarts() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for s := range g.starts {
		s.result <- s.cmd.Start()
	}
}

func (g *Group) spawn(cmd *exec.Cmd) error {
	request := start{cmd, make(chan error)}
	g.starts <- request
	return <-request.result
}

// Start starts a program. An error means that it could not be started at all.
func (g *Group) Start(program Program) (*Process, error) {
	process := newProcess(program, g.output)
	if err := process.launch(g.spawn); err != nil {
		return nil, err
	}
	g.processes = append(g.processes, process)
	g.watchers.Go(func() { g.watch(process) })
	return process, nil
}

// KeepUp starts from now on each process again that ends without being asked to.
// Before, such an end is a failure: it is likely to come back.
func (g *Group) KeepUp(restarts Restarts) { g.restarts.Store(&restarts) }

// watch follows a process through all of its runs.
func (g *Group) watch(p *Process) {
	defer close(p.done)
	var past ends
	for end := p.wait(); g.restart(p, end, &past); {
		if end = p.launch(g.spawn); end == nil {
			end = p.wait()
		}
	}
}

// restart decides what follows the end of a run. It returns true when the process
// is to be started again, after the pause.
func (g *Group) restart(p *Process, end error, past *ends) bool {
	if p.isAsked() {
		return false
	}
	restarts := g.restarts.Load()
	if restarts == nil {
		g.fail(fmt.Errorf("%s ended unexpectedly %s", p.program.Name, p.ending(end)))
		return false
	}
	count := past.add(time.Now(), restarts.Window)
	if count > restarts.Limit {
		g.fail(fmt.Errorf("%s ended %d times within %s; the last time %s", p.program.Name, count, restarts.Window, p.ending(end)))
		return false
	}
	pause := restarts.pause(count)
	restarts.Report(Restart{Name: p.program.Name, Ending: p.ending(end), Count: count, Pause: pause})
	return p.pause(pause)
}

func (g *Group) fail(err error) {
	select {
	case g.failed <- err:
	default: // the first one counts; the others are likely to follow from it
	}
}

// Failed delivers the first process that ended without being asked to and is not
// started again, as an error with how it ended and what it last printed.
func (g *Group) Failed() <-chan error { return g.failed }

// Stop asks the processes to end, all at once, and waits for them: each for its
// program's StopWait at most, and only until ctx is done; what is there then is
// killed. The error names those that had to be.
func (g *Group) Stop(ctx context.Context, processes ...*Process) error {
	begin := time.Now()
	for _, process := range processes {
		process.terminate()
	}
	var errs []error
	for _, process := range processes {
		errs = append(errs, process.awaitEnd(ctx, begin.Add(process.program.StopWait)))
	}
	return errors.Join(errs...)
}

// Close kills what still runs and waits until it is gone. Nothing can be
// started afterwards.
func (g *Group) Close() error {
	var errs []error
	for _, process := range g.processes {
		errs = append(errs, process.kill())
	}
	close(g.starts)
	g.spawner.Wait()
	if err := errors.Join(errs...); err != nil {
		return err // a process hangs in the kernel, and its watcher with it
	}
	g.watchers.Wait()
	return nil
}
