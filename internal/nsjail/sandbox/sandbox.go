package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/wire"
)

// Config is what a Sandbox is made of.
type Config struct {
	// Limits are the worker's; a request may lower them.
	Limits jobs.Limits
	// Group is nil if cgroups are not in use. The Sandbox removes it.
	Group *cgroup.Group
	// UID is the user id outside. Release is called once no process has it.
	UID     int
	Release func()
	// Start starts the processes with these ends. It must not keep them.
	Start func(*InnerEnds) (ProcessTree, error)
	// OverheadProcesses is the number of processes in the group that are not the script's.
	OverheadProcesses int
	// StartTeardown runs a teardown after the verdict, perhaps in a goroutine.
	StartTeardown func(teardown func())
	Logger        *slog.Logger
}

// Sandbox runs one script. Its owner must call AwaitReady first, and then Run or Discard, once.
type Sandbox struct {
	limits    jobs.Limits
	processes ProcessTree
	channel   *net.UnixConn
	outputs
	group             *cgroup.Group
	overheadProcesses int
	release           func()
	startTeardown     func(teardown func())
	logger            *slog.Logger

	discarded sync.Once
}

// ErrConnect is returned by New if this machine lacks descriptors or pipes for a sandbox.
var ErrConnect = errors.New("cannot connect to a sandbox")

// New opens the connections of a sandbox and starts its processes. It owns the group and the user id also if it returns
// an error.
func New(c Config) (*Sandbox, error) {
	inner, outer, err := connect(c.Group, c.UID)
	if err != nil {
		return nil, c.abort(fmt.Errorf("%w: %w", ErrConnect, err))
	}
	defer inner.close() // so that EOF comes when the processes exit
	processes, err := c.Start(inner)
	if err != nil {
		outer.close()
		return nil, c.abort(err)
	}
	return &Sandbox{
		limits: c.Limits, processes: processes, channel: outer.channel,
		outputs: collectBoth(outer.stdout, outer.stderr, c.Limits.OutputBytes),
		group:   c.Group, overheadProcesses: c.OverheadProcesses,
		release: c.Release, startTeardown: c.StartTeardown, logger: c.Logger,
	}, nil
}

// abort releases what a sandbox that did not start owns, and returns err.
func (c Config) abort(err error) error {
	c.Release()
	return errors.Join(err, c.Group.Remove(context.Background()))
}

// ProcessTree is the processes of a sandbox.
type ProcessTree interface {
	// AwaitStart blocks until the processes are known, or until the deadline.
	AwaitStart(deadline time.Time) error
	// Kill kills all of them. It may be called at any time and more than once.
	Kill()
	// Dead returns a channel that is closed when all of them are dead.
	Dead() <-chan struct{}
	// EarlyExitStatus returns the wait status of the script's process once it is final, which may be before the process
	// is dead; false before, or always if the status cannot be known early. It is for use with cgroups only: it does
	// not include the CPU time.
	EarlyExitStatus() (syscall.WaitStatus, bool)
	// ExitStatus returns how the script's process ended. All of them must be dead.
	ExitStatus() wire.ExitStatus
	// Close releases the resources outside. All of them must be dead.
	Close()
}

// Bounds on what should be immediate: a killed namespace is gone within milliseconds unless the
// machine is in trouble.
const (
	TeardownBound = 10 * time.Second
	// pollEvery is the interval at which the job's CPU time and OOM kills are checked.
	pollEvery = 50 * time.Millisecond
	// drainBound is how long data from dead processes may take to arrive. A longer wait means that
	// a descriptor is still open somewhere: a job can send its descriptors to itself or to the
	// worker.
	drainBound = time.Second
)

// flushBound is how long a script that is being ended has to flush its streams. The runner flushes
// at once and exits, unless the script is in C code; such a script is killed after this time.
const flushBound = 100 * time.Millisecond

// AwaitReady blocks until the runner waits for its script. ctx must have a deadline; the sandbox is killed when ctx is
// done. After an error, the caller must call Discard.
func (s *Sandbox) AwaitReady(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, s.processes.Kill)
	defer stop()
	if err := s.processes.AwaitStart(deadline); err != nil {
		return err
	}
	_ = s.channel.SetReadDeadline(deadline)
	if err := wire.ReadReady(s.channel); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	return s.channel.SetReadDeadline(time.Time{})
}

// Run sends the script and its inputs (nil for none), waits for its end, and decides the verdict.
// When it returns, the job's processes are dead or killed; the rest of the teardown may go on until
// the host is closed. It sets RunMS, CPUMS and MemoryPeakBytes of Usage. If ctx is done first, the
// script is killed and its outcome is "cancelled".
func (s *Sandbox) Run(ctx context.Context, script string, inputs *jobs.Inputs) jobs.Outcome {
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
	_ = s.sendJob(script, inputs)

	found := s.supervise(ctx, deadline.C, reports)
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
func (s *Sandbox) supervise(ctx context.Context, deadline <-chan time.Time, reports <-chan reportResult) evidence {
	found := evidence{cgroups: s.group != nil, reportErr: io.EOF}
	var teardownOverdue <-chan time.Time
	var flushDone <-chan time.Time
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
			return found // Discard logs it
		case <-deadline:
			end(killedForWall)
		case <-cancelled:
			cancelled = nil
			end(killedByCaller)
		case result := <-reports:
			reports = nil
			found.report, found.reportErr = result.report, result.err
			switch {
			case errors.Is(result.err, wire.ErrResultTooLarge), filesRefused(result.err):
				end(killedForResult)
			case result.err == nil && s.group != nil:
				exitChecks.start()
			}
		case <-exitChecks.due():
			if status, ok := s.processes.EarlyExitStatus(); ok && found.killReason == notKilled {
				found.exitStatus, found.early = wire.ExitStatus{Known: true, Status: status}, true
				s.processes.Kill()
				return found
			}
			exitChecks.next()
		case <-poll.C:
			if why := s.overLimit(); why != notKilled {
				end(why)
			}
		}
	}
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
		unblock := time.AfterFunc(drainBound, func() { _ = s.channel.Close() })
		result := <-reports
		unblock.Stop()
		found.report, found.reportErr = result.report, result.err
	}
	found.exitStatus = s.processes.ExitStatus()
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
	if outcome.Failure == nil {
		outcome.Result = found.report.Result
	}
	if outcome.Failure == nil || outcome.Failure.Code.Reported() {
		outcome.Files = found.report.Files
		outcome.FilesOmitted, outcome.Notes = found.report.FilesOmitted, found.report.Notes
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
	s.Discard()
	return outcome
}

func usage(stats cgroup.Stats) jobs.Usage {
	cpu := jobs.Milliseconds(stats.CPU)
	u := jobs.Usage{CPUMS: &cpu}
	if stats.MemoryPeakBytes >= 0 {
		u.MemoryPeakBytes = &stats.MemoryPeakBytes
	}
	return u
}

// StderrText returns what the sandbox has written to stderr. The sandbox must be discarded.
func (s *Sandbox) StderrText() string {
	text, _ := s.stderr.readAll()
	return text
}

// Discard kills a sandbox and blocks until nothing of it is left, or for TeardownBound. It may be
// called more than once.
func (s *Sandbox) Discard() {
	s.discarded.Do(func() {
		s.processes.Kill()
		release := s.release
		select {
		case <-s.processes.Dead():
		case <-time.After(TeardownBound):
			s.logger.Error("a sandbox does not die; its user id stays taken", "bound", TeardownBound)
			release = nil
		}
		s.processes.Close()
		_ = s.channel.Close()
		s.stdout.Stop()
		s.stderr.Stop()
		if err := s.group.Remove(context.Background()); err != nil {
			s.logger.Error("cannot remove a job's cgroup", "error", err)
		}
		if release != nil {
			release()
		}
	})
}
