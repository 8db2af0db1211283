// Package trial finds out whether what holds a sandbox bites, and not only whether it is there: a memory limit can be
// stored and never enforced. It runs scripts that go over each limit, in sandboxes as jobs get them. Each must meet its
// end.
//
// A busy machine does not make a control look toothless: a script measures what it used itself, not how long that took,
// and one that did not get far enough decides nothing.
package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cellblock/internal/jobs"
)

// Sandbox runs one script; see sandbox.Sandbox.
type Sandbox interface {
	Run(ctx context.Context, script string, entry jobs.Entry, inputs *jobs.Inputs) jobs.Outcome
}

// Acquire returns a sandbox for the script, which Run of the caller uses.
type Acquire func(ctx context.Context, script string) (Sandbox, error)

// Control is what holds a script to something.
type Control string

// The controls that are tried.
const (
	Memory    Control = "memory"
	Processes Control = "processes"
	CPU       Control = "CPU time"
	Proc      Control = "/proc"
	Filter    Control = "filter"
)

// Result is what a trial showed.
type Result int

const (
	// Unknown means that the script did not get far enough, as on a busy machine.
	Unknown Result = iota
	// Bites means that the script met its end.
	Bites
	// Toothless means that the script went on.
	Toothless
)

// Finding is the result of trying one control.
type Finding struct {
	Control Control
	Result  Result
	// Text is what was seen.
	Text string
}

// attempts is how often a control is tried whose trial showed nothing.
const attempts = 3

// Run tries all controls at once and returns a finding for each. cgroups is true if cgroups enforce the limits, and
// false if rlimits do. It returns an error if no sandbox can be acquired.
func Run(ctx context.Context, acquire Acquire, cgroups bool) ([]Finding, error) {
	trials := all(cgroups)
	found, errs := make([][]Finding, len(trials)), make([]error, len(trials))
	var running sync.WaitGroup
	for i, t := range trials {
		running.Go(func() { found[i], errs[i] = t.try(ctx, acquire) })
	}
	running.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

// trial is a script and what its outcome shows.
type trial struct {
	script string
	limits jobs.RequestedLimits
	judge  func(jobs.Outcome) []Finding
}

// try runs the trial until it shows something, for attempts times at most.
func (t trial) try(ctx context.Context, acquire Acquire) ([]Finding, error) {
	var inputs *jobs.Inputs
	for attempt := 1; ; attempt++ {
		sandbox, err := acquire(ctx, t.script)
		if err != nil {
			return nil, err
		}
		findings := t.judge(sandbox.Run(ctx, t.script, jobs.EntryMain, inputs.WithLimits(t.limits)))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !hasUnknown(findings) || attempt == attempts {
			return findings, nil
		}
	}
}

func hasUnknown(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Result == Unknown })
}

// describe returns how a script ended, in a few words.
func describe(o jobs.Outcome) string {
	if o.Failure == nil {
		return "the script returned"
	}
	return strings.TrimSpace(fmt.Sprintf("the script ended as %s: %s %s", o.Failure.Code, o.Failure.Message,
		o.Failure.Hint))
}
