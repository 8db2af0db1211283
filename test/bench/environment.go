package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/environment"
	"cellblock/test/stack"
)

// environmentCost is what a second environment costs, and how fast it answers.
type environmentCost struct {
	// IdleOne and IdleTwo are the memory of a worker and its zygotes in bytes (PSS), with the default environment alone
	// and with data-science beside it, of which nothing was asked.
	IdleOne int64 `json:"idle_bytes_one"`
	IdleTwo int64 `json:"idle_bytes_two"`
	// Fit is a request that fits a model to 100 rows, Bare the same script in a bare nsjail.
	Fit  summary `json:"fit"`
	Bare summary `json:"fit_bare"`
}

const (
	// measuredEnvironment is built by `make setup ENVIRONMENTS="default data-science"`.
	measuredEnvironment = "data-science"

	fitScript = `
import numpy as np
from sklearn.linear_model import LinearRegression

def main():
    x = np.arange(100.0).reshape(-1, 1)
    return float(LinearRegression().fit(x, 3 * x[:, 0]).coef_[0])
`
	// fitRuns is the number of fits, and of bare ones, which take seconds.
	fitRuns = 15
)

func measureEnvironment(
	ctx context.Context, o options, programs stack.Programs, dir string,
) (_ *environmentCost, err error) {
	root := environment.DefaultPrefix() + "-environments"
	installed, err := environment.Open(root, measuredEnvironment)
	if err != nil {
		return nil, fmt.Errorf("%w; run `make setup ENVIRONMENTS=\"default %s\"` first", err, measuredEnvironment)
	}
	var c environmentCost
	for environments, idle := range map[string]*int64{filepath.Join(dir, "none"): &c.IdleOne, root: &c.IdleTwo} {
		s, err := startWith(ctx, o, programs, environments)
		if err != nil {
			return nil, err
		}
		err = pause(ctx, idlePause)
		*idle = memoryBelow(s.Workers()[0].PID())
		if err := errors.Join(err, s.Stop()); err != nil {
			return nil, err
		}
	}
	s, err := startWith(ctx, o, programs, root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	of := o
	of.python = installed.Interpreter()
	bare, err := newBare(ctx, of, filepath.Join(dir, "fit"), fitScript+exitAfterFinalizing)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"script": fitScript, "environment": measuredEnvironment})
	if err != nil {
		return nil, err
	}
	fit := &service{url: s.URL + "/execute", body: body, client: &http.Client{Timeout: time.Minute}}
	if err := untilWarm(ctx, fit.call); err != nil {
		return nil, err
	}
	times, err := inTurn(ctx, []func(context.Context) (time.Duration, error){fit.call, bare.call}, fitRuns)
	if err != nil {
		return nil, err
	}
	c.Fit, c.Bare = times[0], times[1]
	return &c, nil
}

// idlePause is how long a worker stays idle before its memory is measured: its zygotes that start by themselves do so
// within it.
const idlePause = 20 * time.Second

func startWith(ctx context.Context, o options, programs stack.Programs, environments string) (*stack.Stack, error) {
	return stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{{
		"NSJAIL": o.nsjail, "SANDBOX_PYTHON": o.python, "ENVIRONMENTS_DIR": environments,
	}}})
}

// untilWarm runs a script until its environment's zygote has started, which shows in the time of a run.
func untilWarm(ctx context.Context, run caller) error {
	const warm, most = 500 * time.Millisecond, 60
	for range most {
		took, err := run(ctx)
		if err != nil || took < warm {
			return err
		}
		if err := pause(ctx, warm); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not become warm", measuredEnvironment)
}

// memoryBelow returns the PSS of a process and of all below it.
func memoryBelow(pid int) int64 {
	var sum int64
	for _, p := range processes() {
		if p.pid == pid || below(p, pid) {
			sum += p.pss()
		}
	}
	return sum
}

func (c *environmentCost) print(w io.Writer) {
	fmt.Fprintf(w, "\na second environment\tgot\taim\n")
	fmt.Fprintf(w, "idle MB, one and two\t%.0f and %.0f\n", float64(c.IdleOne)/(1<<20), float64(c.IdleTwo)/(1<<20))
	fmt.Fprintf(w, "fit of 100 rows, median ms\t%.1f, bare %.0f\n", c.Fit.Median, c.Bare.Median)
	fmt.Fprintf(w, "times less than bare nsjail\t%.1f\t%s\n", c.Bare.Median/c.Fit.Median,
		atLeast(c.Bare.Median/c.Fit.Median, 25))
}
