package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/filelocks"
	"cellblock/internal/nsjail/wire"
)

// killReason is why the worker killed a sandbox.
type killReason int

const (
	notKilled killReason = iota
	killedForWall
	killedForCPU
	killedForMemory
	killedForLocks
	killedForResult
	killedByCaller
)

// allowsFlush reports whether a script ended for this reason may hold output that is not flushed,
// such as an incomplete line.
func (r killReason) allowsFlush() bool {
	return r == killedForWall || r == killedForCPU || r == killedByCaller
}

// evidence is the input of decide. User code can forge report and reportErr only.
type evidence struct {
	// entry is how the script was run.
	entry      jobs.Entry
	killReason killReason
	oomKills   int
	// refusedProcesses is the number of processes and threads that the cgroup refused to the job.
	refusedProcesses int
	exitStatus       wire.ExitStatus
	// early is true if the script's process was still exiting.
	early bool
	// cgroups is true if a cgroup counted CPU time and OOM kills.
	cgroups bool

	report    wire.Report
	reportErr error
	// sendErr is the error of handing over the script.
	sendErr error
	// teardownOverdue is true if killed processes are not dead yet.
	teardownOverdue bool
}

// untouched reports whether the sandbox was lost, by no fault of the script, before its runner had read the whole
// script. The kernel is the witness: a write failed because the other end was closed, or the other end was closed with
// bytes unread (ECONNRESET, unix(7)). Code of the script cannot make either look so: once it runs, everything is read,
// and only the worker writes to that end.
func (e evidence) untouched() bool {
	if e.killReason != notKilled || e.exitStatus.Known || e.teardownOverdue {
		return false
	}
	return e.sendErr != nil || errors.Is(e.reportErr, syscall.ECONNRESET)
}

// decide returns how a job failed; nil for success. Enforced reasons win over the report. Of two
// enforced reasons, memory wins: the kernel counted it before the worker looked at a clock.
func decide(e evidence, limits jobs.Limits) *jobs.Failure {
	if enforced := decideEnforced(e, limits); enforced != nil {
		return enforced
	}
	if e.reportErr == nil {
		return confirmReport(e, limits)
	}
	return decideWithoutReport(e)
}

// hintProcesses is the hint of a reported exception that the process limit probably caused.
const hintProcesses = "the process limit"

// confirmReport returns the reported failure. It is a process limit if the report has hintProcesses and
// the cgroup counted refusals: only the runner knows whether a refusal made the script fail, since
// a script may catch the error, and only the cgroup proves that there was one.
func confirmReport(e evidence, limits jobs.Limits) *jobs.Failure {
	failure := e.report.Failure
	if failure == nil || failure.Hint != hintProcesses || e.refusedProcesses == 0 {
		return failure
	}
	hit := processLimit(limits)
	hit.Detail, hit.Traceback = failure.Message, failure.Traceback
	return hit
}

func decideEnforced(e evidence, limits jobs.Limits) *jobs.Failure {
	switch {
	case e.oomKills > 0 || e.killReason == killedForMemory:
		return memoryLimit(limits)
	case e.killReason == killedForLocks:
		return locksLimit()
	case e.killReason == killedForWall:
		return wallLimit(limits)
	case e.killReason == killedForCPU || cpuKill(e, limits):
		return cpuLimit(limits)
	case filesRefused(e.reportErr):
		return filesLimit(e.reportErr, limits)
	case e.killReason == killedForResult || errors.Is(e.reportErr, wire.ErrResultTooLarge):
		return resultLimit(e.entry, limits)
	case e.killReason == killedByCaller:
		return &jobs.Failure{Code: jobs.CodeCancelled, Message: "the job was cancelled while it ran"}
	case e.exitStatus.Known && e.exitStatus.Status.Signaled():
		return killedBySignal(e.exitStatus.Status.Signal(), limits)
	}
	return nil
}

// decideWithoutReport decides for a script that ended without a report. For a program with exit code 0 that is success:
// it has ended its own process, or become another program (os.execv).
func decideWithoutReport(e evidence) *jobs.Failure {
	switch {
	case e.exitStatus.Known:
	case e.untouched():
		return &jobs.Failure{
			Code: jobs.CodeInternal, Message: "the sandbox was lost before the script started in it",
		}
	default:
		return &jobs.Failure{
			Code:    jobs.CodeWorkerLost,
			Message: "the sandbox was lost while the script ran in it; this is not the script's fault",
		}
	}
	code, malformed := e.exitStatus.Status.ExitStatus(), errors.Is(e.reportErr, wire.ErrMalformed)
	if e.entry == jobs.EntryScript && code == 0 && !malformed {
		return nil
	}
	failure := &jobs.Failure{Code: jobs.CodeExit, Message: exitMessage(e.entry, code), ExitCode: &code}
	if malformed {
		failure.Detail = "something wrote to the channel that carries the result"
	}
	return failure
}

func exitMessage(entry jobs.Entry, code int) string {
	message := fmt.Sprintf("the script ended its own process with exit code %d", code)
	if entry == jobs.EntryMain {
		message += " before main() returned"
	}
	return message
}

// exitCode returns the exit code of a program that ended by itself; nil for other entries and ends.
func exitCode(entry jobs.Entry, failure *jobs.Failure) *int {
	if entry != jobs.EntryScript {
		return nil
	}
	code := 0
	if failure != nil {
		switch failure.Code {
		case jobs.CodeException:
			code = 1 // as Python exits after a traceback
		case jobs.CodeExit:
			return failure.ExitCode
		default:
			return nil
		}
	}
	return &code
}

// cpuKill reports whether the kernel ended the script for its CPU time (RLIMIT_CPU). The signal
// alone proves nothing: a script can send it to itself.
func cpuKill(e evidence, limits jobs.Limits) bool {
	if e.cgroups || !e.exitStatus.Known || !e.exitStatus.Status.Signaled() {
		return false
	}
	signal := e.exitStatus.Status.Signal()
	// RLIMIT_CPU counts ticks, wait4 the real run time; on a busy virtual machine the two differ by
	// a fifth.
	enough := limits.CPU - limits.CPU/4
	return (signal == syscall.SIGKILL || signal == syscall.SIGXCPU) && e.exitStatus.CPU >= enough
}

func wallLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code: jobs.CodeTimeout,
		Message: fmt.Sprintf("the script ran longer than %s s; let it do less, or split the work into several jobs",
			inSeconds(l.Wall)),
		Limit: &jobs.LimitHit{Name: "wall", Value: l.Wall.Seconds(), Unit: "seconds"},
	}
}

func cpuLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code: jobs.CodeCPULimit,
		Message: fmt.Sprintf("the script used more than %s s of CPU time; "+
			"let it do less, or split the work into several jobs", inSeconds(l.CPU)),
		Limit: &jobs.LimitHit{Name: "cpu", Value: l.CPU.Seconds(), Unit: "seconds"},
	}
}

func memoryLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code: jobs.CodeMemoryLimit,
		Message: fmt.Sprintf("the script used more than %d MiB of memory, files in /tmp included; "+
			"work on smaller pieces of the data", l.MemoryBytes>>20),
		Limit: &jobs.LimitHit{Name: "memory", Value: float64(l.MemoryBytes), Unit: "bytes"},
	}
}

// locksLimit returns a memory limit of its own: no cgroup counts the memory of file locks.
func locksLimit() *jobs.Failure {
	return &jobs.Failure{
		Code: jobs.CodeMemoryLimit,
		Message: fmt.Sprintf("the script held more than %d file locks at once, which take memory of the system; "+
			"hold fewer, or lock whole files", filelocks.Limit),
		Limit: &jobs.LimitHit{Name: "file_locks", Value: filelocks.Limit, Unit: "count"},
	}
}

func resultLimit(entry jobs.Entry, l jobs.Limits) *jobs.Failure {
	what := map[jobs.Entry]string{
		jobs.EntryMain: "main() returned", jobs.EntryScript: "the script sent", jobs.EntryCell: "the cell's value has",
	}[entry]
	return &jobs.Failure{
		Code:    jobs.CodeResultTooLarge,
		Message: fmt.Sprintf("%s more than %d KiB of JSON; return a summary or a part", what, l.ResultBytes>>10),
		Limit:   &jobs.LimitHit{Name: "result", Value: float64(l.ResultBytes), Unit: "bytes"},
	}
}

func processLimit(l jobs.Limits) *jobs.Failure {
	return &jobs.Failure{
		Code: jobs.CodeProcessLimit,
		Message: fmt.Sprintf("the script needed more than %d processes and threads at once; "+
			"start fewer, or wait for some to end", l.Processes),
		Limit: &jobs.LimitHit{Name: "processes", Value: float64(l.Processes), Unit: "count"},
	}
}

func killedBySignal(signal syscall.Signal, l jobs.Limits) *jobs.Failure {
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
		// Not a verdict of its own: a script can send itself this signal.
		failure.Message += fmt.Sprintf(
			", which a program gets that writes a file of more than %d bytes (LIMIT_FILE_MB)", l.FileBytes)
	}
	return failure
}

func inSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// isTooLarge reports whether reading the report failed because the script returned or left more than allowed.
func isTooLarge(err error) bool { return errors.Is(err, wire.ErrResultTooLarge) || filesRefused(err) }

// filesRefused reports whether the script left more in outputs/ than allowed.
func filesRefused(err error) bool {
	return err == wire.ErrTooManyFiles || err == wire.ErrFilesTooLarge //nolint:errorlint // ours, and never wrapped
}

func filesLimit(err error, l jobs.Limits) *jobs.Failure {
	if err == wire.ErrTooManyFiles { //nolint:errorlint // likewise
		return &jobs.Failure{
			Code: jobs.CodeFilesTooLarge,
			Message: fmt.Sprintf("the script left more than %d files in outputs/; leave fewer, or pack them",
				l.OutputFiles),
			Limit: &jobs.LimitHit{Name: "output_files", Value: float64(l.OutputFiles), Unit: "count"},
		}
	}
	return &jobs.Failure{
		Code: jobs.CodeFilesTooLarge,
		Message: fmt.Sprintf("the script left more than %d MiB in outputs/; leave less, or compress it",
			l.OutputFilesBytes>>20),
		Limit: &jobs.LimitHit{Name: "output_files_bytes", Value: float64(l.OutputFilesBytes), Unit: "bytes"},
	}
}
