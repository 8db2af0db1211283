package nsjail

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
)

// Sandbox is ready to run one script. Its owner must call Run or Discard, once.
type Sandbox struct {
	limits  jobs.Limits
	body    body
	channel *net.UnixConn
	outputs
	// group is nil if cgroups are not in use.
	group *cgroup.Group
	// beside is the number of processes in the group that are not the script's.
	beside int
	// release returns the sandbox's user id to the worker. It is called once the sandbox is dead.
	release func()
	// behind runs a teardown after the verdict; see teardowns.
	behind func(teardown func())
	logger *slog.Logger

	discarded sync.Once
}

// body is the processes of a sandbox, cold or warm.
type body interface {
	// kill kills all of them. It may be called at any time and more than once.
	kill()
	// dead returns a channel that is closed when all of them are dead.
	dead() <-chan struct{}
	// settled returns the wait status of the script's process once it is final; it may never report
	// true. It is for use with cgroups only: it does not include the CPU time.
	settled() (syscall.WaitStatus, bool)
	// ending returns how the script's process ended. All of them must be dead.
	ending() ending
	// close releases the resources outside. All of them must be dead.
	close()
}

// Bounds on what should be immediate: a killed namespace is gone within milliseconds unless the
// machine is in trouble.
const (
	teardownBound = 10 * time.Second
	// pollEvery is the interval at which the job's CPU time and OOM kills are checked.
	pollEvery = 50 * time.Millisecond
	// drainBound is how long data from dead processes may take to arrive. A longer wait means that
	// a descriptor is still open somewhere: a job can send its descriptors to itself or to the
	// worker.
	drainBound = time.Second
)

// lastWords is how long a script that is being ended has to flush its streams. The runner flushes
// at once and exits, unless the script is in C code; such a script is killed after this time.
const lastWords = 100 * time.Millisecond

// Run sends the script and its inputs (nil for none), waits for its end, and decides the verdict.
// When it returns, the job's processes are dead or killed; the rest of the teardown may go on until
// the host is closed. It sets RunMS, CPUMS and MemoryPeakBytes of Usage. If ctx is done first, the
// script is killed and its outcome is "cancelled".
func (s *Sandbox) Run(ctx context.Context, script string, inputs *jobs.Inputs) jobs.Outcome {
	started := time.Now()
	if err := s.restrict(inputs.AskedLimits()); err != nil {
		s.logger.Error("a job's own limits cannot be set", "error", err)
		s.Discard()
		return jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeInternal, Message: "the limits that were asked for cannot be set here"}}
	}
	deadline := time.NewTimer(s.limits.Wall)
	defer deadline.Stop()
	reports := s.listen()
	// If the runner is already dead, the evidence shows it.
	_ = s.channel.SetWriteDeadline(started.Add(s.limits.Wall))
	_ = s.handOver(script, inputs)

	found := s.supervise(ctx, deadline.C, reports)
	outcome := s.conclude(found)
	outcome.Usage.RunMS = jobs.Milliseconds(time.Since(started))
	return outcome
}

// said is the runner's report, or the error of reading it.
type said struct {
	report report
	err    error
}

// listen reads the first report, in a goroutine that ends with the channel. The result is buffered,
// so the goroutine never blocks on it.
func (s *Sandbox) listen() <-chan said {
	reports := make(chan said, 1)
	go func() {
		r, err := readReport(s.channel, s.limits)
		reports <- said{r, err}
	}()
	return reports
}

// supervise waits until every process inside is dead, and kills them when a limit is reached. A
// report does not end the wait, because the script can forge it. With cgroups, the wait also ends
// once the report is there and the process has begun to exit: its status is final then.
func (s *Sandbox) supervise(ctx context.Context, deadline <-chan time.Time, reports <-chan said) evidence {
	found := evidence{cgroups: s.group != nil, reportErr: io.EOF}
	var overdue <-chan time.Time
	var lastWordsOver <-chan time.Time
	end := func(why cause) {
		if found.cause == notKilled {
			found.cause, overdue = why, time.After(teardownBound)
			lastWordsOver = s.end(why)
		}
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	cancelled := ctx.Done()
	leaving := newBackoff()
	defer leaving.stop()
	for {
		select {
		case <-s.body.dead():
			s.gather(&found, reports)
			return found
		case <-lastWordsOver:
			s.body.kill()
		case <-overdue:
			return found // Discard logs it
		case <-deadline:
			end(killedForWall)
		case <-cancelled:
			cancelled = nil
			end(killedByCaller)
		case said := <-reports:
			reports = nil
			found.report, found.reportErr = said.report, said.err
			switch {
			case errors.Is(said.err, errResultTooLarge), filesRefused(said.err):
				end(killedForResult)
			case said.err == nil && s.group != nil:
				leaving.start()
			}
		case <-leaving.due():
			if status, ok := s.body.settled(); ok && found.cause == notKilled {
				found.ending, found.early = ending{known: true, status: status}, true
				s.body.kill()
				return found
			}
			leaving.again()
		case <-poll.C:
			if why := s.overLimit(); why != notKilled {
				end(why)
			}
		}
	}
}

// end ends the sandbox. It kills at once, or asks the runner to flush and returns a channel that
// receives a value when it is time to kill.
func (s *Sandbox) end(why cause) <-chan time.Time {
	if why.leavesText() {
		_ = s.channel.CloseWrite()
		return time.After(lastWords)
	}
	s.body.kill()
	return nil
}

// overLimit checks the counters of the cgroup.
func (s *Sandbox) overLimit() cause {
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

// gather reads the rest of the evidence once every process inside is dead. The other end of the
// channel is closed then, unless its descriptor is in flight on a socket.
func (s *Sandbox) gather(found *evidence, reports <-chan said) {
	if reports != nil {
		unblock := time.AfterFunc(drainBound, func() { _ = s.channel.Close() })
		said := <-reports
		unblock.Stop()
		found.report, found.reportErr = said.report, said.err
	}
	found.ending = s.body.ending()
}

// conclude reads the counters, decides the verdict, and discards the sandbox.
func (s *Sandbox) conclude(found evidence) jobs.Outcome {
	var outcome jobs.Outcome
	if s.group != nil {
		if stats, err := s.group.Stats(); err == nil {
			found.oomKills, found.refusals = stats.OOMKills, stats.Refusals
			outcome.Usage = usage(stats)
		} else {
			s.logger.Error("cannot read the job's cgroup", "error", err)
		}
	} else if found.ending.known {
		cpu := jobs.Milliseconds(found.ending.cpu)
		outcome.Usage.CPUMS = &cpu
	}
	outcome.Failure = decide(found, s.limits)
	if outcome.Failure == nil {
		outcome.Result = found.report.result
	}
	if outcome.Failure == nil || outcome.Failure.Code.Reported() {
		outcome.Files = found.report.files
		outcome.FilesOmitted, outcome.Notes = found.report.beside.omitted, found.report.beside.notes
	}
	if found.early {
		outcome.Stdout, outcome.Truncated.Stdout = s.stdout.takeNow()
		outcome.Stderr, outcome.Truncated.Stderr = s.stderr.takeNow()
		s.behind(s.Discard)
		return outcome
	}
	// Close the channel first: descriptors that the script sent on it and that were never read
	// would keep the outputs open.
	_ = s.channel.Close()
	outcome.Stdout, outcome.Truncated.Stdout = s.stdout.take()
	outcome.Stderr, outcome.Truncated.Stderr = s.stderr.take()
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

// Discard kills a sandbox and blocks until nothing of it is left, or for teardownBound. It may be
// called more than once.
func (s *Sandbox) Discard() {
	s.discarded.Do(func() {
		s.body.kill()
		release := s.release
		select {
		case <-s.body.dead():
		case <-time.After(teardownBound):
			s.logger.Error("a sandbox does not die; its user id stays taken", "bound", teardownBound)
			release = nil
		}
		s.body.close()
		_ = s.channel.Close()
		s.stdout.stop()
		s.stderr.stop()
		if s.group != nil {
			if err := s.group.Remove(context.Background()); err != nil {
				s.logger.Error("cannot remove a job's cgroup", "error", err)
			}
		}
		if release != nil {
			release()
		}
	})
}
