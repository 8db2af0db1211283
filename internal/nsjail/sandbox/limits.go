package sandbox

import (
	"math"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
)

// ProcessSlack is how far the rlimit on processes lies above the limit of the cgroup. The cgroup
// must refuse first: it counts refusals, which are the evidence for the verdict.
const ProcessSlack = 8

// Rlimits returns the rlimits of a script's processes, by the kernel's numbers. With cgroups, those on CPU time, memory
// and processes are wider than the limits, which the cgroup enforces for all processes together; without, they are the
// limits themselves, for each process.
func Rlimits(l jobs.Limits, cgroups bool) map[int]uint64 {
	cpu, memory, processes := uint64(math.Ceil(l.CPU.Seconds())), uint64(l.MemoryBytes), uint64(l.Processes)
	if cgroups {
		cpu, memory, processes = cpu+1, unix.RLIM_INFINITY, processes+ProcessSlack
	}
	return map[int]uint64{
		unix.RLIMIT_CPU: cpu, unix.RLIMIT_AS: memory, unix.RLIMIT_NPROC: processes,
		unix.RLIMIT_FSIZE: uint64(maxFileBytes(l)), unix.RLIMIT_NOFILE: uint64(l.OpenFiles),
	}
}

// GroupLimits returns the limits of a sandbox's cgroup, which also holds overheadProcesses that are not the script's.
func GroupLimits(l jobs.Limits, overheadProcesses int) cgroup.Limits {
	return cgroup.Limits{MemoryBytes: l.MemoryBytes, Processes: l.Processes + overheadProcesses}
}

// maxFileBytes returns the size of the largest file that a sandbox must be able to hold: one that
// the script writes, or one of its inputs. The runner lowers the limit to FileBytes before any code
// of the script runs.
func maxFileBytes(l jobs.Limits) int64 { return max(l.FileBytes, jobs.MaxFilesBytes) }
