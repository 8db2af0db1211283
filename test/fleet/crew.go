package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
)

// stopBound is longer than workers without jobs take to stop.
const stopBound = 3 * time.Minute

// crew is the processes that hold the workers.
type crew []*member

// member is one of them.
type member struct {
	process *exec.Cmd
	ask     io.WriteCloser
	answers *bufio.Reader
}

// startCrew starts the processes. The caller calls stop.
func startCrew(ctx context.Context, url string, workers int, o options) (crew, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var c crew
	processes := min(o.processes, workers)
	for i := range processes {
		n := workers*(i+1)/processes - workers*i/processes
		m := &member{process: exec.CommandContext(ctx, self, simulateCommand, "-redis", url,
			"-workers", strconv.Itoa(n), "-slots", strconv.Itoa(o.slots))}
		m.process.Stderr = os.Stderr
		m.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for this program, which stops them
		m.process.Cancel = func() error { return m.process.Process.Signal(syscall.SIGTERM) }
		m.process.WaitDelay = stopBound
		answers, err := m.process.StdoutPipe()
		if err == nil {
			m.ask, err = m.process.StdinPipe()
		}
		if err == nil {
			err = m.process.Start()
		}
		if err != nil {
			return nil, errors.Join(err, c.stop())
		}
		m.answers = bufio.NewReader(answers)
		c = append(c, m)
	}
	return c, nil
}

// ended returns what has ended since the last call.
func (c crew) ended() (ended, error) {
	var all ended
	for _, m := range c {
		var part ended
		if _, err := io.WriteString(m.ask, "\n"); err != nil {
			return all, fmt.Errorf("ask a process with workers: %w", err)
		}
		line, err := m.answers.ReadBytes('\n')
		if err != nil {
			return all, fmt.Errorf("a process with workers does not answer: %w", err)
		}
		if err := json.Unmarshal(line, &part); err != nil {
			return all, err
		}
		all.QueuedMS = append(all.QueuedMS, part.QueuedMS...)
		all.Others += part.Others
	}
	return all, nil
}

// stop stops the workers and waits for them.
func (c crew) stop() error {
	var errs []error
	for _, m := range c {
		errs = append(errs, m.ask.Close())
	}
	for _, m := range c {
		killing := time.AfterFunc(stopBound, func() { _ = m.process.Process.Kill() })
		errs = append(errs, m.process.Wait())
		killing.Stop()
	}
	return errors.Join(errs...)
}

// pids returns the ids of the processes.
func (c crew) pids() []int {
	pids := make([]int, len(c))
	for i, m := range c {
		pids[i] = m.process.Process.Pid
	}
	return pids
}
