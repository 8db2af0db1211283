package trial

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cellblock/internal/jobs"
)

// trialWall is the wall limit of a trial. It is far above what one takes; a trial that reaches it is repeated.
const trialWall = 5 * time.Second

// all returns the trials for limits that cgroups or rlimits enforce.
func all(cgroups bool) []trial {
	if cgroups {
		return []trial{memoryTrial, processTrial, cpuTrial, insideTrial}
	}
	return []trial{addressSpaceTrial, rlimitProcessTrial, rlimitCPUTrial, insideTrial}
}

// notHeld is what a script returns that went over its limit and was not stopped.
const notHeld = "not held"

// returned reports whether the script returned notHeld.
func returned(o jobs.Outcome) bool {
	return o.Failure == nil && strings.Contains(string(o.Result), notHeld)
}

func failedAs(o jobs.Outcome, code jobs.Code) bool { return o.Failure != nil && o.Failure.Code == code }

// hinted reports whether an exception ended the script that a limit caused.
func hinted(o jobs.Outcome, hint string) bool {
	return failedAs(o, jobs.CodeException) && strings.Contains(o.Failure.Hint, hint)
}

const trialMemory = 64 << 20

// memoryTrial fills three times its memory, page by page.
var memoryTrial = trial{
	script: `
def main():
    kept = [b"x" * (16 << 20) for _ in range(12)]
    return "not held"
`,
	limits: jobs.RequestedLimits{MemoryBytes: trialMemory, Wall: trialWall},
	judge: func(o jobs.Outcome) []Finding {
		f := Finding{Memory, Unknown, describe(o)}
		peak := o.Usage.MemoryPeakBytes
		switch {
		case failedAs(o, jobs.CodeMemoryLimit):
			f = Finding{Memory, Bites, fmt.Sprintf("a script that used more than %d MiB was ended", trialMemory>>20)}
		case returned(o):
			f = Finding{Memory, Toothless, fmt.Sprintf("a script used 192 MiB under a limit of %d", trialMemory>>20)}
		case failedAs(o, jobs.CodeTimeout) && peak != nil && *peak >= trialMemory-trialMemory/16:
			// Such as memory.oom_control with oom_kill_disable on version 1.
			f = Finding{Memory, Toothless, "a script at its limit was neither refused memory nor ended"}
		}
		return []Finding{f}
	},
}

// addressSpaceTrial asks for 1 GiB in one piece, and touches none of it: rlimits bound the address space.
var addressSpaceTrial = trial{
	script: `
def main():
    kept = bytearray(1 << 30)
    return "not held"
`,
	limits: jobs.RequestedLimits{MemoryBytes: 256 << 20, Wall: trialWall},
	judge: func(o jobs.Outcome) []Finding {
		f := Finding{Memory, Unknown, describe(o)}
		switch {
		case hinted(o, "memory"):
			f = Finding{Memory, Bites, "a script that needed more address space than 256 MiB got a MemoryError"}
		case returned(o):
			f = Finding{Memory, Toothless, "a script got 1 GiB of address space under a limit of 256 MiB"}
		}
		return []Finding{f}
	},
}

const trialProcesses = 4

// forkScript starts more processes than both the cgroup and the wider rlimit beside it allow.
const forkScript = `
import os, time
def main():
    for _ in range(24):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    return "not held"
`

// processTrial must be refused by the cgroup, which counts that, and not by the rlimit.
var processTrial = trial{
	script: forkScript,
	limits: jobs.RequestedLimits{Processes: trialProcesses, Wall: trialWall},
	judge: func(o jobs.Outcome) []Finding {
		f := Finding{Processes, Unknown, describe(o)}
		switch {
		case failedAs(o, jobs.CodeProcessLimit):
			f = Finding{Processes, Bites, fmt.Sprintf("a script was refused more than %d processes", trialProcesses)}
		case returned(o), hinted(o, "process"):
			text := fmt.Sprintf("no cgroup refused a script more than %d processes", trialProcesses)
			f = Finding{Processes, Toothless, text}
		}
		return []Finding{f}
	},
}

var rlimitProcessTrial = trial{
	script: forkScript,
	limits: jobs.RequestedLimits{Processes: trialProcesses, Wall: trialWall},
	judge: func(o jobs.Outcome) []Finding {
		f := Finding{Processes, Unknown, describe(o)}
		switch {
		case hinted(o, "process"):
			f = Finding{Processes, Bites, fmt.Sprintf("a script was refused more than %d processes", trialProcesses)}
		case returned(o):
			f = Finding{Processes, Toothless, fmt.Sprintf("a script got 24 processes of %d", trialProcesses)}
		}
		return []Finding{f}
	},
}

// The scripts of these trials stop by themselves after ten times, or three times, their CPU time.
var (
	cpuTrial       = newCPUTrial(100*time.Millisecond, time.Second)
	rlimitCPUTrial = newCPUTrial(time.Second, 3*time.Second) // the unit of RLIMIT_CPU is a second
)

func newCPUTrial(limit, until time.Duration) trial {
	return trial{
		script: fmt.Sprintf(`
import time
def main():
    while time.process_time() < %.1f:
        for _ in range(1000): pass
    return "not held"
`, until.Seconds()),
		limits: jobs.RequestedLimits{CPU: limit, Wall: trialWall},
		judge: func(o jobs.Outcome) []Finding {
			f := Finding{CPU, Unknown, describe(o)}
			counted := o.Usage.CPUMS != nil && *o.Usage.CPUMS >= jobs.Milliseconds(until)/2
			switch {
			case failedAs(o, jobs.CodeCPULimit):
				f = Finding{CPU, Bites, fmt.Sprintf("a script that used more than %v was ended", limit)}
			case returned(o) && counted && limit < time.Second:
				// The counter is right. The worker, which compares it, did not run meanwhile: try again.
			case returned(o):
				f = Finding{CPU, Toothless, fmt.Sprintf("a script used %v under a limit of %v", until, limit)}
			}
			return []Finding{f}
		},
	}
}

// insideTrial opens files of /proc that are not about processes, and makes a call that the filter refuses.
var insideTrial = trial{
	script: `
import socket
FORBIDDEN = ["/proc/sys/kernel/hostname", "/proc/kcore", "/proc/kallsyms", "/proc/meminfo", "/proc/sysrq-trigger"]
def main():
    opened = []
    for path in FORBIDDEN:
        try:
            with open(path, "rb"):
                opened.append(path)
        except OSError:
            pass
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
        errno = 0
    except OSError as e:
        errno = e.errno
    return {"opened": opened, "errno": errno}
`,
	limits: jobs.RequestedLimits{Wall: trialWall},
	judge: func(o jobs.Outcome) []Finding {
		proc, filter := Finding{Proc, Unknown, describe(o)}, Finding{Filter, Unknown, describe(o)}
		var seen struct {
			Opened []string `json:"opened"`
			Errno  int      `json:"errno"`
		}
		if o.Failure != nil || json.Unmarshal(o.Result, &seen) != nil {
			return []Finding{proc, filter}
		}
		proc = Finding{Proc, Bites, "a script sees processes only"}
		if len(seen.Opened) > 0 {
			proc = Finding{Proc, Toothless, "a script can open " + strings.Join(seen.Opened, ", ")}
		}
		filter = Finding{Filter, Bites, "a script is refused a socket"}
		if seen.Errno != refusedErrno {
			filter = Finding{Filter, Toothless, fmt.Sprintf("it asks for a socket and gets errno %d", seen.Errno)}
		}
		return []Finding{proc, filter}
	},
}

// refusedErrno is EACCES, with which the filter refuses what would reach a network.
const refusedErrno = 13
