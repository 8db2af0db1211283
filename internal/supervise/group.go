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

// Group is a set of processes that run together. Its methods may be called from one goroutine only. Call Close when
// done.
type Group struct {
	output    *Output
	processes []*Process
	watchers  sync.WaitGroup
	failed    chan error
	starts    chan start
	spawner   sync.WaitGroup
	restarts  atomic.Pointer[Restarts] // nil: no restarts
}

type start struct {
	cmd    *exec.Cmd
	result chan error
}

// NewGroup returns an empty group whose processes print to output.
func NewGroup(output *Output) *Group {
	g := &Group{output: output, failed: make(chan error, 1), starts: make(chan start)}
	g.spawner.Go(g.serveStarts)
	return g
}

// serveStarts starts all processes from one thread that lives as long as the group. The kernel sends the death signal
// when the forking thread ends, not when its process does, and Go may end any other thread.
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

// Start starts a program. It returns an error if the program cannot be started at all.
func (g *Group) Start(program Program) (*Process, error) {
	process := newProcess(program, g.output)
	if err := process.launch(g.spawn); err != nil {
		return nil, err
	}
	g.processes = append(g.processes, process)
	g.watchers.Go(func() { g.watch(process) })
	return process, nil
}

// EnableRestarts enables restarts of processes that exit without being asked to. Before this call, such an exit is a
// failure, since a restart would likely fail in the same way.
func (g *Group) EnableRestarts(restarts Restarts) { g.restarts.Store(&restarts) }

// watch follows a process through all of its runs.
func (g *Group) watch(p *Process) {
	defer close(p.done)
	var past exitTimes
	for end := p.wait(); g.restart(p, end, &past); {
		if end = p.launch(g.spawn); end == nil {
			end = p.wait()
		}
	}
}

// restart handles the end of a run. It pauses and returns true if the process is to be restarted.
func (g *Group) restart(p *Process, end error, past *exitTimes) bool {
	if p.stopRequested() {
		return false
	}
	restarts := g.restarts.Load()
	if restarts == nil {
		g.fail(fmt.Errorf("%s ended unexpectedly %s", p.program.Name, p.exitText(end)))
		return false
	}
	count := past.add(time.Now(), restarts.Window)
	if count > restarts.Limit {
		g.fail(fmt.Errorf("%s ended %d times within %s; the last time %s", p.program.Name, count, restarts.Window,
			p.exitText(end)))
		return false
	}
	pause := restarts.pause(count)
	restarts.Report(Restart{Name: p.program.Name, Exit: p.exitText(end), Count: count, Pause: pause})
	return p.pause(pause)
}

func (g *Group) fail(err error) {
	select {
	case g.failed <- err:
	default: // later failures are likely to follow from the first
	}
}

// Failed delivers one error: of the first process that exited without being asked to and is not restarted. The error
// has its exit status and last line.
func (g *Group) Failed() <-chan error { return g.failed }

// Stop sends SIGTERM to all the processes and waits for each, for at most its program's StopWait and only until ctx is
// done. It then kills those that remain; the error names them.
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

// Close kills the running processes and waits until they are gone. Start must not be called afterwards.
func (g *Group) Close() error {
	var errs []error
	for _, process := range g.processes {
		errs = append(errs, process.kill())
	}
	close(g.starts)
	g.spawner.Wait()
	if err := errors.Join(errs...); err != nil {
		return err // a process hangs in the kernel, and so does its watcher
	}
	g.watchers.Wait()
	return nil
}
