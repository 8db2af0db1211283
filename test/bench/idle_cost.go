package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cellblock/test/stack"
)

// idleCost is the cost of an idle service.
type idleCost struct {
	// ReadyBytes is the memory of one more ready sandbox with numpy and pandas loaded: the sum of the processes' PSS,
	// divided by manyReady.
	ReadyBytes int64 `json:"ready_sandbox_bytes"`
	// CPU is the processor time of an idle stack with idleReady ready sandboxes of each kind, as a fraction of one
	// core.
	CPU float64 `json:"idle_cpu"`
}

const (
	manyReady = 16
	idleReady = 4
)

func measureIdleCost(ctx context.Context, o options, programs stack.Programs) (*idleCost, error) {
	one, err := poolMemory(ctx, o, 1)
	if err != nil {
		return nil, err
	}
	many, err := poolMemory(ctx, o, 1+manyReady)
	if err != nil {
		return nil, err
	}
	cpu, err := idleCPU(ctx, o, programs)
	return &idleCost{ReadyBytes: (many - one) / manyReady, CPU: cpu}, err
}

// poolMemory returns the PSS of a zygote with pandas and its ready forks.
func poolMemory(ctx context.Context, o options, ready int) (_ int64, err error) {
	_, done, err := openProvider(ctx, o, ready)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := pause(ctx, 3*time.Second); err != nil { // until all of them are ready
		return 0, err
	}
	var sum int64
	for _, p := range processes() {
		if below(p, os.Getpid()) && strings.Contains(p.commandLine, `"pandas"`) &&
			!strings.Contains(p.commandLine, "nsjail") {
			sum += p.pss()
		}
	}
	return sum, nil
}

// idleCPU measures a stack without jobs.
func idleCPU(ctx context.Context, o options, programs stack.Programs) (_ float64, err error) {
	s, err := stack.Start(ctx,
		stack.Config{
			Programs: programs,
			Workers: []stack.Env{{
				"WORKER_CONCURRENCY": strconv.Itoa(idleReady), "NSJAIL": o.nsjail,
				"SANDBOX_PYTHON": o.python,
			}},
		})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := pause(ctx, 3*time.Second); err != nil {
		return 0, err
	}
	before := ticksBelow(os.Getpid())
	if err := pause(ctx, o.idle); err != nil {
		return 0, err
	}
	const ticksPerSecond = 100 // USER_HZ, proc_pid_stat(5)
	return float64(ticksBelow(os.Getpid())-before) / ticksPerSecond / o.idle.Seconds(), nil
}

func ticksBelow(pid int) int64 {
	var sum int64
	for _, p := range processes() {
		if below(p, pid) {
			sum += p.ticks
		}
	}
	return sum
}

// process is a process in /proc (proc_pid_stat(5)).
type process struct {
	pid, parent int
	ticks       int64
	commandLine string
	all         map[int]process
}

func processes() map[int]process {
	found := map[int]process{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has exited
		}
		p := process{all: found}
		var user, system int64
		fields := strings.Fields(string(content[strings.LastIndex(string(content), ")")+1:]))
		p.pid, _ = strconv.Atoi(strings.Split(file, "/")[2])
		p.parent, _ = strconv.Atoi(fields[1])
		user, _ = strconv.ParseInt(fields[11], 10, 64)
		system, _ = strconv.ParseInt(fields[12], 10, 64)
		p.ticks = user + system
		commandLine, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		p.commandLine = string(commandLine)
		found[p.pid] = p
	}
	return found
}

// below reports whether p descends from pid.
func below(p process, pid int) bool {
	for p.parent != 0 {
		if p.parent == pid {
			return true
		}
		p = p.all[p.parent]
	}
	return false
}

// pss returns the proportional set size of p: shared memory is divided among the processes that share it.
func (p process) pss() int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
	for line := range strings.Lines(string(content)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}

func pause(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(length):
		return nil
	}
}
