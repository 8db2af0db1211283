package nsjail

import (
	"strconv"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
)

// restrict holds the sandbox, which nobody's code has run in yet, to what its
// request asked for below the worker's limits. What the group does not hold, the
// runner lowers for itself and all that comes of it, by the task's rlimits.
func (s *Sandbox) restrict(asked jobs.AskedLimits) error {
	if asked == (jobs.AskedLimits{}) {
		return nil
	}
	s.limits = s.limits.Lowered(asked)
	s.stdout.cutAt(s.limits.OutputBytes)
	s.stderr.cutAt(s.limits.OutputBytes)
	if s.group == nil {
		return nil
	}
	return s.group.Limit(cgroup.Limits{MemoryBytes: s.limits.MemoryBytes, Processes: s.limits.Processes + s.beside})
}

// task is what the runner is told of a script and its inputs.
func (s *Sandbox) task(script string, inputs *jobs.Inputs) task {
	t := task{Script: script, ResultBytes: s.limits.ResultBytes}
	if inputs == nil {
		return t
	}
	t.Args, t.Stdin, t.Env = inputs.Args, inputs.Stdin, inputs.Env
	if inputs.Limits != (jobs.AskedLimits{}) {
		t.Rlimits = s.loweredRlimits()
	}
	return t
}

// loweredRlimits are those of a sandbox's rlimits that a request can lower, by
// the kernel's numbers.
func (s *Sandbox) loweredRlimits() map[string]uint64 {
	all, lowered := forkRlimits(s.limits, s.group != nil), map[string]uint64{}
	for _, resource := range []int{unix.RLIMIT_CPU, unix.RLIMIT_AS, unix.RLIMIT_NPROC} {
		name := strconv.Itoa(resource)
		if value := all[name][1]; value != unix.RLIM_INFINITY {
			lowered[name] = value
		}
	}
	lowered[strconv.Itoa(unix.RLIMIT_NPROC)] += uint64(s.beside)
	return lowered
}
