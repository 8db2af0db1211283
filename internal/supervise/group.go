package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
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
}

type start struct {
	process *Process
	result  chan error
}

// NewGroup makes a group without processes that prints to output.
func NewGroup(output *Output) *Group {
	g := &Group{output: output, failed: make(chan error, 1), starts: make(chan start)}
	g.spawner.Go(g.spawn)
	return g
}

// spawn starts all processes from one thread that lives as long as the group:
// the kernel sends the death signal when the thread that forked ends, not when
// its process does, and Go ends threads as it likes.
func (g *Group) spawn() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for s := range g.starts {
		s.result <- s.process.cmd.Start()
	}
}

// Start starts a program. An error means that it could not be started at all.
func (g *Group) Start(program Program) (*Process, error) {
	process := newProcess(program, g.output)
	request := start{process, make(chan error)}
	g.starts <- request
	if err := <-request.result; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", program.Name, err)
	}
	g.processes = append(g.processes, process)
	g.watchers.Go(func() { g.watch(process) })
	return process, nil
}

func (g *Group) watch(process *Process) {
	process.wait()
	if process.stopping.Load() {
		return
	}
	select {
	case g.failed <- process.failure():
	default: // the first one counts; the others are likely to follow from it
	}
}

// Failed gives the first process that ended without being asked to, as an error
// that says how and what it last printed.
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
