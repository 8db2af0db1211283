package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"cellblock/internal/nsjail/filelocks"
)

// The values of Check.Status.
const (
	CheckOK   = "ok"
	CheckWarn = "warn"
	CheckFail = "fail"
)

// Check is one thing that a machine can or cannot enforce, and how.
type Check struct {
	Name   string
	Status string
	// Text is a sentence with the reason or the figures.
	Text string
}

// OK returns a check that passed.
func OK(name, text string) Check { return Check{Name: name, Status: CheckOK, Text: text} }

// Warn returns a check of something without which sandboxes can be made.
func Warn(name, text string) Check { return Check{Name: name, Status: CheckWarn, Text: text} }

// Fail returns a check of something without which no sandbox is made.
func Fail(name, text string) Check { return Check{Name: name, Status: CheckFail, Text: text} }

// nsjailVersion prints the version of the package that contains nsjail: the program has no option
// that prints its version.
const nsjailVersion = `from nsjail._nsjail_version import __nsjail_version__ as v; print(v, end="")`

// CheckNsjail tests whether nsjail runs.
func CheckNsjail(ctx context.Context, settings Settings) Check {
	ctx, cancel := context.WithTimeout(ctx, pythonBound)
	defer cancel()
	// --help is the only option that runs nothing; nsjail exits with 0.
	help := exec.CommandContext(ctx, settings.Nsjail, "--help") //nolint:gosec // the operator's nsjail
	if err := help.Run(); err != nil {
		return Fail("nsjail", fmt.Sprintf("%s does not run: %v (make setup installs it)", settings.Nsjail, err))
	}
	out, err := exec.CommandContext(ctx, settings.Python, //nolint:gosec // the operator's interpreter
		"-I", "-c", nsjailVersion).Output()
	if err != nil {
		return OK("nsjail", settings.Nsjail+", of unknown version")
	}
	return OK("nsjail", fmt.Sprintf("%s, version %s", settings.Nsjail, out))
}

// CheckCgroups reports how the limits of jobs are enforced.
func (h *Host) CheckCgroups() Check {
	version, err := h.CgroupVersion()
	if err != nil {
		return Warn("cgroups", fmt.Sprintf("not in use (%v); rlimits hold the line, for each process: "+
			"memory and process limits show inside the script, peak memory is unknown", err))
	}
	return OK("cgroups", version+": memory, processes and CPU time are limited and counted for each job")
}

// CheckFileLocks reports whether the file locks of jobs are counted.
func (h *Host) CheckFileLocks() Check {
	if h.LocksError != nil {
		return Warn("file locks", fmt.Sprintf("%v; a job can hold any number of them, in memory that is not its own",
			h.LocksError))
	}
	return OK("file locks", fmt.Sprintf("counted for each job, %d at most", filelocks.Limit))
}

// CheckCoreDumps warns of a core dump handler, which the kernel starts as root and outside of every
// sandbox when a script crashes. The rlimit on core files does not apply to handlers (core(5)).
func CheckCoreDumps() Check {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err == nil && strings.HasPrefix(string(pattern), "|") {
		return Warn("core dumps", "a script that crashes starts this machine's handler as root: "+
			strings.TrimSpace(string(pattern))+"; `sysctl kernel.core_pattern=core` switches it off")
	}
	return OK("core dumps", "no handler is started when a script crashes")
}
