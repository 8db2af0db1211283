package host

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// readyPerJob is how many sandboxes may be ready for each running job: one in each pool of package zygote.
	readyPerJob = 4
	// filesPerSandbox is how many open files the worker has for a running and for a ready sandbox, and otherFiles how
	// many besides (measured by test/bench, worker-flood).
	filesPerSandbox, otherFiles = 7, 128
	// processesAround is how many processes a job has around those that it may make itself, processesReady how many a
	// ready sandbox has, and otherProcesses what the rest of the machine is expected to need.
	processesAround, processesReady, otherProcesses = 3, 2, 1024
	// filesPerProcess is a script's limit of open files.
	filesPerProcess = 256
)

// machine has what the machine has only so many of; 0 and less is unknown, or without a bound.
type machine struct {
	// pids is the number of processes and threads, and files that of all open files.
	pids, files int
	// ownFiles is the number of files that the worker may open.
	ownFiles int
}

// CheckCapacity reports whether jobs at once, as many as there may be, can use up what a neighbour needs as well.
func (h *Host) CheckCapacity(jobs int) Check {
	const name = "capacity"
	if shortage := h.Shortage(jobs); shortage != "" {
		return Warn(name, shortage)
	}
	return OK(name, fmt.Sprintf("%d jobs at once leave processes and open files for others", jobs))
}

// Shortage returns a sentence with what jobs at once can use up, of the machine's processes and open files and of the
// worker's own; "" if they leave some.
func (h *Host) Shortage(jobs int) string {
	m := machine{files: readNumber("/proc/sys/fs/file-max")}
	m.pids = lowest(readNumber("/proc/sys/kernel/pid_max"), readNumber("/proc/sys/kernel/threads-max"))
	if h.Cgroups != nil {
		m.pids = lowest(m.pids, h.Cgroups.ProcessBound())
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < 1<<40 {
		m.ownFiles = int(limit.Cur)
	}
	return m.shortage(jobs, h.Limits.Processes)
}

// shortage is Host.Shortage for a machine, and the limit of a job's processes.
func (m machine) shortage(jobs, processes int) string {
	pids := jobs*(processes+processesAround+readyPerJob*processesReady) + otherProcesses
	own := jobs*(1+readyPerJob)*filesPerSandbox + otherFiles
	files := jobs * processes * filesPerProcess
	var short []string
	if m.pids > 0 && m.pids < pids {
		short = append(short, fmt.Sprintf("processes (%d, they may need %d; kernel.pid_max, kernel.threads-max or the "+
			"container's limit)", m.pids, pids))
	}
	if m.ownFiles > 0 && m.ownFiles < own {
		short = append(short, fmt.Sprintf("open files of the worker (%d, it may need %d; ulimit -n)", m.ownFiles, own))
	}
	if m.files > 0 && m.files < files {
		short = append(short, fmt.Sprintf("open files of the machine (%d, they may need %d; fs.file-max)", m.files,
			files))
	}
	if len(short) == 0 {
		return ""
	}
	return fmt.Sprintf("%d jobs at once could use up %s: raise it, or lower WORKER_CONCURRENCY or LIMIT_PROCESSES",
		jobs, strings.Join(short, ", and "))
}

// lowest returns the lower one of two bounds, of which 0 and less is none.
func lowest(a, b int) int {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
