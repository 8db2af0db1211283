package nsjail

import (
	"context"
	"errors"
	"fmt"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/trial"
	"cellblock/internal/nsjail/zygote"
)

// assessment is what the findings of a trial mean for a worker. docs/operations.md has the table.
type assessment struct {
	findings []trial.Finding
	gvisor   bool
	// rejectCgroups is why rlimits must enforce the limits instead of cgroups; nil if cgroups bite or are not in use.
	rejectCgroups error
	// refuse is why no script may run here.
	refuse error
	// without and unknown are sentences about controls that do not bite and are not needed, and that showed nothing.
	without, unknown []string
}

// tryControls tries the controls in sandboxes from acquire. It returns an error if there is none.
func tryControls(ctx context.Context, h *host.Host, acquire zygote.Acquire) (assessment, error) {
	cgroups := h.Cgroups != nil
	findings, err := trial.Run(ctx, func(ctx context.Context, script string) (trial.Sandbox, error) {
		sandbox, err := acquire(ctx, script)
		if err != nil {
			return nil, err // not a typed nil
		}
		return sandbox, nil
	}, cgroups)
	if err != nil {
		return assessment{}, err
	}
	return assess(findings, cgroups, h.GVisor), nil
}

// assess decides what the findings mean, with limits by cgroups or by rlimits, on Linux or in gVisor.
func assess(findings []trial.Finding, cgroups, gvisor bool) assessment {
	a := assessment{findings: findings, gvisor: gvisor}
	for _, f := range findings {
		sentence := fmt.Sprintf("%s: %s", f.Control, f.Text)
		switch {
		case f.Result == trial.Unknown:
			a.unknown = append(a.unknown, sentence)
		case f.Result == trial.Bites:
		case isLimit(f.Control) && cgroups:
			a.rejectCgroups = errors.Join(a.rejectCgroups, errors.New(sentence))
		case needed(f.Control, gvisor):
			a.refuse = errors.Join(a.refuse, fmt.Errorf("%s does not bite: %s", f.Control, f.Text))
		default:
			a.without = append(a.without, sentence)
		}
	}
	return a
}

// check returns the line of `cellblock doctor` for a finding.
func (a assessment) check(f trial.Finding) host.Check {
	name := "tried: " + string(f.Control)
	switch {
	case f.Result == trial.Bites:
		return host.OK(name, f.Text)
	case f.Result == trial.Unknown:
		return host.Warn(name, "could not be tried in time: "+f.Text)
	case a.refuse != nil && needed(f.Control, a.gvisor):
		return host.Fail(name, "does not bite, and the worker would refuse to start: "+f.Text)
	default:
		return host.Warn(name, "does not bite: "+f.Text)
	}
}

// isLimit reports whether a control is a limit that a cgroup or an rlimit enforces.
func isLimit(c trial.Control) bool {
	return c == trial.Memory || c == trial.Processes || c == trial.CPU
}

// needed reports whether a worker refuses to start without the control.
func needed(c trial.Control, gvisor bool) bool {
	switch c {
	case trial.CPU:
		return false // the worker's clock ends the script
	case trial.Processes, trial.Proc:
		// gVisor keeps neither RLIMIT_NPROC nor subset=pid. Its /proc shows nothing of the machine, and its container
		// bounds what a script can take.
		return !gvisor
	default:
		return true
	}
}
