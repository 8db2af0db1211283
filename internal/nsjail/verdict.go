package nsjail

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
)

// cause is why the worker itself ended a sandbox.
type cause int

const (
	notKilled cause = iota
	killedForWall
	killedForCPU
	killedForMemory
	killedForResult
	killedByCaller
)

// leavesText reports whether a script that is ended for it may hold back text
// that it printed, such as a line that is not complete.
func (c cause) leavesText() bool {
	return c == killedForWall || c == killedForCPU || c == killedByCaller
}

// evidence is all that a verdict is made from. Everything but report and
// reportErr comes from outside the sandbox.
type evidence struct {
	cause    cause
	oomKills int
	// refusals counts the processes that the job was not allowed to make.
	refusals int
	ending   ending
	// early is true where the script's process was still on its way out.
	early bool
	// cgroups is true where the group's counters told CPU time and kills.
	cgroups bool

	report    report
	reportErr error
}

// decide says how a job ended: nil for success. What is enforced wins over
// what is reported, and of two enforced causes the one that came first: memory
// was counted before we looked at any clock.
func decide(e evidence, limits jobs.Limits) *jobs.Failure {
	if enforced := decideEnforced(e, limits); enforced != nil {
		return enforced
	}
	if e.reportErr == nil {
		return confirm(e, limits)
	}
	return decideSilent(e)
}

// hintProcesses is what the runner's report of an exception says when the
// process limit lies behind it.
const hintProcesses = "the process limit"

// confirm takes the runner's report. That the script failed for want of a
// process it alone can know, for it may catch the error and go on; that there
// was such a want, the group's counter tells. Both together are a verdict.
func confirm(e evidence, limits jobs.Limits) *jobs.Failure {
	failure := e.report.failure
	if failure == nil || failure.Hint != hintProcesses || e.refusals == 0 {
		return failure
	}
	hit := processLimit(limits)
	hit.Detail, hit.Traceback = failure.Message, failure.Traceback
	return hit
}

func decideEnforced(e evidence, limits jobs.Limits) *jobs.Failure {
	switch {
	case e.oomKills > 0 || e.cause == killedForMemory:
		return memoryLimit(limits)
	case e.cause == killedForWall:
		return timeout(limits)
	case e.cause == killedForCPU || cpuKill(e, limits):
		return cpuLimit(limits)
	case filesRefused(e.reportErr):
		return filesTooLarge(e.reportErr, limits)
	case e.cause == killedForResult || errors.Is(e.reportErr, errResultTooLarge):
		return resultTooLarge(limits)
	case e.cause == killedByCaller:
		return &jobs.Failure{Code: jobs.CodeCancelled, Message: "the job was cancelled while it ran"}
	case e.ending.known && e.ending.status.Signaled():
		return killed(e.ending.status.Signal(), limits)
	}
	return nil
}

// decideSilent is for a script that ended without any report of the runner's.
func decideSilent(e evidence) *jobs.Failure {
	if !e.ending.known {
		return &jobs.Failure{Code: jobs.CodeInternal, Message: "the sandbox ended unexpectedly; this is not the script's fault"}
	}
	code := e.ending.status.ExitStatus()
	failure := &jobs.Failure{
		Code:     jobs.CodeExit,
		Message:  fmt.Sprintf("the script ended its own process with exit code %d before main() returned", code),
		ExitCode: &code,
	}
	if errors.Is(e.reportErr, errGarbled) {
		failure.Detail = "something wrote to the channel that carries the result"
	}
	return failure
}

// cpuKill reports whether the kernel's own limit on CPU time (RLIMIT_CPU) ended
// the script. The signal alone proves nothing: a script can send it to itself.
func cpuKill(e evidence, limits jobs.Limits) bool {
	if e.cgroups || !e.ending.known || !e.ending.status.Signaled() {
		return false
	}
	signal := e.ending.status.Signal()
	// The kernel counts ticks for RLIMIT_CPU and real run time for wait4; on a
	// busy virtual machine the two differ by a fifth.
	enough := limits.CPU - limits.CPU/4
	return (signal == syscall.SIGKILL || signal == syscall.SIGXCPU) && e.ending.cpu >= enough
}

func timeout(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code:    jobs.CodeTimeout,
		Message: fmt.Sprintf("the script ran longer than %s s; let it do less, or split the work into several jobs", inSeconds(l.Wall)),
		Limit:   &jobs.LimitHit{Name: "wall", Value: l.Wall.Seconds(), Unit: "seconds"},
	}
}

func cpuLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code:    jobs.CodeCPULimit,
		Message: fmt.Sprintf("the script used more than %s s of CPU time; let it do less, or split the work into several jobs", inSeconds(l.CPU)),
		Limit:   &jobs.LimitHit{Name: "cpu", Value: l.CPU.Seconds(), Unit: "seconds"},
	}
}

func memoryLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code:    jobs.CodeMemoryLimit,
		Message: fmt.Sprintf("the script used more than %d MiB of memory, files in /tmp included; work on smaller pieces of the data", l.MemoryBytes>>20),
		Limit:   &jobs.LimitHit{Name: "memory", Value: float64(l.MemoryBytes), Unit: "bytes"},
	}
}

func resultTooLarge(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code:    jobs.CodeResultTooLarge,
		Message: fmt.Sprintf("main() returned more than %d KiB of JSON; return a summary or a part", l.ResultBytes>>10),
		Limit:   &jobs.LimitHit{Name: "result", Value: float64(l.ResultBytes), Unit: "bytes"},
	}
}

func processLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code:    jobs.CodeProcessLimit,
		Message: fmt.Sprintf("the script needed more than %d processes and threads at once; start fewer, or wait for some to end", l.Processes),
		Limit:   &jobs.LimitHit{Name: "processes", Value: float64(l.Processes), Unit: "count"},
	}
}

func killed(signal syscall.Signal, l jobs.Limits) *jobs.Failure {
	name := unix.SignalName(signal)
	if name == "" {
		name = "signal " + strconv.Itoa(int(signal))
	}
	failure := &jobs.Failure{
		Code:    jobs.CodeKilled,
		Message: fmt.Sprintf("the script's process was ended by %s", name),
		Signal:  name,
	}
	if signal == syscall.SIGXFSZ {
		// No verdict of its own: a script can send itself this signal.
		failure.Message += fmt.Sprintf(", which a program gets that writes a file of more than %d bytes (LIMIT_FILE_MB)", l.FileBytes)
	}
	return failure
}

func inSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}
