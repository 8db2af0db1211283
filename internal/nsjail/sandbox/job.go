package sandbox

import (
	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/wire"
)

// lowerLimits applies the limits that the request asked for, where they are below the worker's. No
// user code has run in the sandbox yet. It sets the cgroup's limits; the runner lowers its own
// rlimits (wire.Task.Rlimits).
func (s *Sandbox) lowerLimits(asked jobs.RequestedLimits) error {
	if asked == (jobs.RequestedLimits{}) {
		return nil
	}
	s.limits = s.limits.CappedBy(asked)
	s.stdout.lowerLimit(s.limits.OutputBytes)
	s.stderr.lowerLimit(s.limits.OutputBytes)
	if s.group == nil {
		return nil
	}
	return s.group.Limit(GroupLimits(s.limits, s.overheadProcesses))
}

// sendJob sends the files and then the task. It fails if the runner is gone.
func (s *Sandbox) sendJob(script string, entry jobs.Entry, inputs *jobs.Inputs) error {
	if inputs != nil {
		for _, file := range inputs.Files {
			if err := wire.WriteFile(s.channel, file); err != nil {
				return err
			}
		}
	}
	return wire.WriteTask(s.channel, s.task(script, entry, inputs))
}

// task returns the task for a script, its entry and its inputs.
func (s *Sandbox) task(script string, entry jobs.Entry, inputs *jobs.Inputs) wire.Task {
	l := s.limits
	t := wire.Task{
		Script: script, Entry: entry, ResultBytes: l.ResultBytes, FileBytes: l.FileBytes,
		OutputFiles: l.OutputFiles, OutputFilesBytes: l.OutputFilesBytes,
		WallSeconds: l.Wall.Seconds(), CPUSeconds: l.CPU.Seconds(),
	}
	if inputs == nil {
		return t
	}
	t.Args, t.Stdin, t.Env = inputs.Args, inputs.Stdin, inputs.Env
	if inputs.Limits != (jobs.RequestedLimits{}) {
		t.Rlimits = s.loweredRlimits()
	}
	return t
}

// loweredRlimits returns the rlimits that a request can lower, by the kernel's numbers.
func (s *Sandbox) loweredRlimits() map[int]uint64 {
	all := Rlimits(s.limits, s.group != nil)
	lowered := map[int]uint64{
		unix.RLIMIT_CPU: all[unix.RLIMIT_CPU], unix.RLIMIT_NPROC: all[unix.RLIMIT_NPROC] + uint64(s.overheadProcesses),
	}
	if memory := all[unix.RLIMIT_AS]; memory != unix.RLIM_INFINITY {
		lowered[unix.RLIMIT_AS] = memory
	}
	return lowered
}
