package sandbox

import (
	"context"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/watchdog"
	"cellblock/internal/nsjail/wire"
)

const (
	// pollEvery is the interval at which the job's CPU time and OOM kills are checked.
	pollEvery = 50 * time.Millisecond
	// drainBound is how long data from dead processes may take to arrive, while this worker runs. A longer wait means
	// that a descriptor is still open somewhere: a job can send its descriptors to itself or to the worker.
	drainBound = time.Second
	// flushBound is how long a script that is being ended has to flush its streams. The runner flushes at once and
	// exits, unless the script is in C code; such a script is killed after this time.
	flushBound = 100 * time.Millisecond
)

// Run sends the script, its entry and its inputs (nil for none), waits for its end, and decides the verdict.
// When it returns, the job's processes are dead or killed; the rest of the teardown may go on until
// the host is closed. It sets RunMS, CPUMS and MemoryPeakBytes of Usage. If ctx is done first, the
// script is killed and its outcome is "cancelled".
func (s *Sandbox) Run(ctx context.Context, script string, entry jobs.Entry, inputs *jobs.Inputs) jobs.Outcome {
	started := time.Now()
	if err := s.lowerLimits(inputs.RequestedLimits()); err != nil {
		s.logger.Error("a job's own limits cannot be set", "error", err)
		s.Discard()
		return jobs.Outcome{Failure: &jobs.Failure{
			Code: jobs.CodeInternal, Message: "the limits that were asked for cannot be set here",
		}}
	}
	deadline := time.NewTimer(s.limits.Wall)
	defer deadline.Stop()
	reports := s.receiveReport()
	// If the runner is already dead, the evidence shows it.
	_ = s.channel.SetWriteDeadline(started.Add(s.limits.Wall))
	sendErr := s.sendJob(script, entry, inputs)

	locks := s.locks.Watch(s.processes.Roots())
	defer locks.Stop()
	found := s.supervise(ctx, deadline.C, locks.Over(), reports)
	found.sendErr = sendErr
	found.entry = entry
	s.untouched = found.untouched()
	outcome := s.buildOutcome(found)
	outcome.Usage.RunMS = jobs.Milliseconds(time.Since(started))
	return outcome
}

// reportResult is the runner's report, or the error of reading it.
type reportResult struct {
	report wire.Report
	err    error
}

// receiveReport reads the first report, in a goroutine that ends with the channel. The result is buffered,
// so the goroutine never blocks on it.
func (s *Sandbox) receiveReport() <-chan reportResult {
	reports := make(chan reportResult, 1)
	go func() {
		r, err := wire.ReadReport(s.channel, s.limits)
		reports <- reportResult{r, err}
	}()
	return reports
}

// supervise waits until every process inside is dead, and kills them when a limit is reached. A
// report does not end the wait, because the script can forge it. With cgroups, the wait also ends
// once the report is there and the process has begun to exit: its status is final then.
func (s *Sandbox) supervise(
	ctx context.Context, deadline <-chan time.Time, tooManyLocks <-chan int, reports <-chan reportResult,
) evidence {
	found := evidence{cgroups: s.group != nil, reportErr: io.EOF}
	var teardownOverdue, flushDone <-chan time.Time
	end := func(why killReason) {
		if found.killReason == notKilled {
			found.killReason, teardownOverdue = why, time.After(TeardownBound)
			flushDone = s.terminate(why)
		}
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	cancelled := ctx.Done()
	exitChecks := newBackoff()
	defer exitChecks.stop()
	for {
		select {
		case <-s.processes.Dead():
			s.collectEvidence(&found, reports)
			return found
		case <-flushDone:
			s.processes.Kill()
		case <-teardownOverdue:
			found.teardownOverdue = true // Discard logs it
			return found
		case <-deadline:
			end(killedForWall)
		case <-cancelled:
			cancelled = nil
			end(killedByCaller)
		case result := <-reports:
			reports = nil
			found.report, found.reportErr = result.report, result.err
			if isTooLarge(result.err) {
				end(killedForResult)
			} else if result.err == nil && s.group != nil {
				exitChecks.start()
			}
		case <-exitChecks.due():
			if s.exitedEarly(&found) {
				return found
			}
			exitChecks.next()
		case <-tooManyLocks:
			end(killedForLocks)
		case <-poll.C:
			if why := s.overLimit(); why != notKilled {
				end(why)
			}
		}
	}
}

// exitedEarly reports whether the script's process has begun to exit by itself, and ends the others then.
func (s *Sandbox) exitedEarly(found *evidence) bool {
	status, ok := s.processes.EarlyExitStatus()
	if !ok || found.killReason != notKilled {
		return false
	}
	found.exitStatus, found.early = wire.ExitStatus{Known: true, Status: status}, true
	s.processes.Kill()
	return true
}

// terminate ends the sandbox. It kills at once, or asks the runner to flush and returns a channel that
// receives a value when it is time to kill.
func (s *Sandbox) terminate(why killReason) <-chan time.Time {
	if why.allowsFlush() {
		_ = s.channel.CloseWrite()
		return time.After(flushBound)
	}
	s.processes.Kill()
	return nil
}

// overLimit checks the counters of the cgroup.
func (s *Sandbox) overLimit() killReason {
	if s.group == nil {
		return notKilled
	}
	stats, err := s.group.Stats()
	switch {
	case err != nil:
		s.logger.Warn("cannot read the job's cgroup", "error", err)
		return notKilled
	case stats.OOMKills > 0:
		return killedForMemory
	case stats.CPU >= s.limits.CPU:
		return killedForCPU
	}
	return notKilled
}

// collectEvidence reads the rest of the evidence once every process inside is dead. The other end of the
// channel is closed then, unless its descriptor is in flight on a socket.
func (s *Sandbox) collectEvidence(found *evidence, reports <-chan reportResult) {
	if reports != nil {
		result := s.awaitReport(reports)
		found.report, found.reportErr = result.report, result.err
	}
	found.exitStatus = s.processes.ExitStatus()
}

// awaitReport returns the result of reading the report. It closes the channel after drainBound, which ends the reading.
func (s *Sandbox) awaitReport(reports <-chan reportResult) reportResult {
	ctx, cancel := watchdog.Context(context.Background(), drainBound, nil)
	defer cancel()
	// Stopped before the cancel, which would run it.
	stop := context.AfterFunc(ctx, func() { _ = s.channel.Close() })
	defer stop()
	return <-reports
}

// buildOutcome reads the counters, decides the verdict, and discards the sandbox.
func (s *Sandbox) buildOutcome(found evidence) jobs.Outcome {
	var outcome jobs.Outcome
	if s.group != nil {
		if stats, err := s.group.Stats(); err == nil {
			found.oomKills, found.refusedProcesses = stats.OOMKills, stats.Refusals
			outcome.Usage = usage(stats)
		} else {
			s.logger.Error("cannot read the job's cgroup", "error", err)
		}
	} else if found.exitStatus.Known {
		cpu := jobs.Milliseconds(found.exitStatus.CPU)
		outcome.Usage.CPUMS = &cpu
	}
	outcome.Failure = decide(found, s.limits)
	outcome.ExitCode = exitCode(found.entry, outcome.Failure)
	if outcome.Failure == nil || outcome.Failure.Code.Reported() {
		addReport(&outcome, found)
	}
	if found.early {
		outcome.Stdout, outcome.Truncated.Stdout = s.stdout.readAvailable()
		outcome.Stderr, outcome.Truncated.Stderr = s.stderr.readAvailable()
		s.startTeardown(s.Discard)
		return outcome
	}
	// Close the channel first: descriptors that the script sent on it and that were never read
	// would keep the outputs open.
	_ = s.channel.Close()
	outcome.Stdout, outcome.Truncated.Stdout = s.stdout.readAll()
	outcome.Stderr, outcome.Truncated.Stderr = s.stderr.readAll()
	// The verdict does not wait for what the kernel still has to free.
	s.startTeardown(s.Discard)
	return outcome
}

// unreported is the note on a program that succeeded without a report.
const unreported = "the script ended its own process with exit code 0 (os._exit or os.exec), or closed a descriptor " +
	"of the runner's, so its files were not read"

// addReport adds what the runner reported besides a failure.
func addReport(outcome *jobs.Outcome, found evidence) {
	report := found.report
	outcome.Files, outcome.FilesOmitted, outcome.Notes = report.Files, report.FilesOmitted, report.Notes
	outcome.Displays, outcome.DisplaysOmitted = report.Displays, report.DisplaysOmitted
	switch {
	case outcome.Failure != nil:
	case found.reportErr != nil:
		outcome.Result, outcome.Notes = jsontext.Value("null"), []string{unreported}
	case found.entry == jobs.EntryScript:
		outcome.Result = jsontext.Value("null") // a forged report may have another one
	default:
		outcome.Result = report.Result
	}
}

func usage(stats cgroup.Stats) jobs.Usage {
	cpu := jobs.Milliseconds(stats.CPU)
	u := jobs.Usage{CPUMS: &cpu}
	if stats.MemoryPeakBytes >= 0 {
		u.MemoryPeakBytes = &stats.MemoryPeakBytes
	}
	return u
}
