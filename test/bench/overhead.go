package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cellblock"
	"cellblock/test/stack"
)

// comparison compares one script through the service and through a bare nsjail.
//
// There are two bare variants. Python finalizes its interpreter when it exits, which takes some 90 ms once pandas is
// imported; the runner exits without that. Compared with a bare Python that finalizes, the service would look faster
// than the sandbox it contains. So the aim is for the other variant, which exits at once, as the runner does.
type comparison struct {
	Script string `json:"script"`
	// Sandbox is the kind of sandbox that the service uses.
	Sandbox string  `json:"sandbox"`
	Service summary `json:"service"`
	// Bare exits at once; BareFull finalizes the interpreter first.
	Bare     summary `json:"bare"`
	BareFull summary `json:"bare_full"`
	// Overhead is the service's median minus Bare's. For a warm sandbox it is negative if most of the time is Python's
	// start.
	Overhead float64 `json:"overhead_ms"`
}

// kinds are the kinds of sandboxes, each on its own stack.
var kinds = []string{"warm", "cold"}

var scripts = []struct{ name, text string }{
	{"plain", "def main():\n    return 6 * 7\n"},
	{"pandas", `def main():
    import numpy as np
    import pandas as pd
    print("Processing data...")
    data = np.array([1, 2, 3, 4, 5])
    return {"mean": float(np.mean(data)), "sum": int(np.sum(data))}
`},
}

// measureOverhead runs each script alternately through the service, with each kind of sandbox, and through a bare
// nsjail, so that the machine's fluctuations affect all alike.
func measureOverhead(ctx context.Context, o options, programs stack.Programs, dir string) (_ []comparison, err error) {
	var stacks []*stack.Stack
	defer func() {
		for _, s := range stacks {
			err = errors.Join(err, s.Stop())
		}
	}()
	for _, kind := range kinds {
		worker := stack.Env{"SANDBOX": kind, "NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python}
		s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{worker}})
		if err != nil {
			return nil, err
		}
		stacks = append(stacks, s)
	}
	var all []comparison
	for _, script := range scripts {
		var runs []func(context.Context) (time.Duration, error)
		for _, end := range []string{exitAtOnce, exitAfterFinalizing} {
			bare, err := newBare(ctx, o, filepath.Join(dir, script.name, strconv.Itoa(len(runs))), script.text+end)
			if err != nil {
				return nil, err
			}
			runs = append(runs, bare.call)
		}
		for _, s := range stacks {
			runs = append(runs, newService(s.URL, script.text).call)
		}
		times, err := inTurn(ctx, runs, o.runs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", script.name, err)
		}
		for i, kind := range kinds {
			c := comparison{Script: script.name, Sandbox: kind, Service: times[i+2], Bare: times[0], BareFull: times[1]}
			c.Overhead = rounded(c.Service.Median - c.Bare.Median)
			all = append(all, c)
		}
	}
	return all, nil
}

// inTurn calls the runs alternately, count times each, and summarizes the times of each.
func inTurn(ctx context.Context, runs []func(context.Context) (time.Duration, error), count int) ([]summary, error) {
	const warmUp = 3
	times := make([][]time.Duration, len(runs))
	for n := range count + warmUp {
		for i, run := range runs {
			took, err := run(ctx)
			if err != nil {
				return nil, err
			}
			if n >= warmUp {
				times[i] = append(times[i], took)
			}
		}
	}
	summaries := make([]summary, len(runs))
	for i := range times {
		summaries[i] = summarize(times[i])
	}
	return summaries, nil
}

// The code appended to a bare script.
const (
	exitAfterFinalizing = "\nimport json\nprint(json.dumps(main()))\n"
	exitAtOnce          = exitAfterFinalizing + "import os, sys\nsys.stdout.flush()\nos._exit(0)\n"
)

// bare is a command line of nsjail with the service's configuration, but without the service.
type bare struct{ args []string }

// outsideID is a user id that no worker uses.
const outsideID = "99999"

func newBare(ctx context.Context, o options, dir, script string) (*bare, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config, program := filepath.Join(dir, "nsjail.cfg"), filepath.Join(dir, "bare.py")
	if err := os.WriteFile(config, []byte(cellblock.NsjailConfig), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(program, []byte(script), 0o644); err != nil {
		return nil, err
	}
	args := []string{
		o.nsjail, "--config", config, "--user", "1000:" + outsideID + ":1", "--group", "1000:" + outsideID + ":1",
		"--bindmount_ro", program + ":/bare.py",
	}
	out, err := exec.CommandContext(ctx, o.python, "-I", "-c",
		"import sys; print(sys.prefix); print(sys.base_prefix)").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s where it lives: %w", o.python, err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if path != "/usr" {
			args = append(args, "--bindmount_ro", path)
		}
	}
	return &bare{append(args, "--", o.python, "-I", "-B", "/bare.py")}, nil
}

// call runs it once and returns the time until it has exited.
func (b *bare) call(ctx context.Context) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, b.args[0], b.args[1:]...)
	cmd.Env = []string{}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("bare nsjail: %w\n%.1000s", err, out)
	}
	return took, nil
}
