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

// Sandbox is ready to run one script. Whoever got it calls Run or Discard, once.
type Sandbox struct {
	limits  jobs.Limits
	body    body
	channel *net.UnixConn
	outputs
	// group is nil where cgroups are not writable.
	group *cgroup.Group
	// beside counts the processes in the group that are not the script's.
	beside int
	// release gives back what the sandbox was lent (its user id), once it is dead.
	release func()
	// behind runs a teardown behind the verdict; see teardowns.
	behind func(teardown func())
	logger *slog.Logger

	discarded sync.Once
}

// body is the processes of a sandbox, however they were made.
type body interface {
	// kill ends them all. It may be called at any time and more than once.
	kill()
	// dead is closed when the last one is.
	dead() <-chan struct{}
	// settled tells how the script's own process will end, once that can no longer
	// change; it may never do so. With cgroups only: the CPU time is not known.
	settled() (syscall.WaitStatus, bool)
	// ending tells how the script's own process ended, once all are dead.
	ending() ending
	// close gives back what the body holds outside, once all are dead.
	close()
}

// Bounds on what should be at once: a killed namespace is gone within
// milliseconds unless the machine is in trouble.
const (
	teardownBound = 10 * time.Second
	// pollEvery is how often the job's CPU time and kills are looked at.
	pollEvery = 50 * time.Millisecond
	// drainBound is how long what the dead have sent may take to arrive. More
	// than a moment means that an end of it is still held somewhere: a job can
	// send its own descriptors to itself or to us.
	drainBound = time.Second
)

// lastWords is how long a script that is to be ended has to flush its streams.
// The runner does it at once and exits, unless the script is in C code, which ends
// this much late then.
const lastWords = 100 * time.Millisecond

// Run hands the script and its inputs (nil for none) over, waits for its end, and
// decides the verdict. When it returns, the job's processes are dead or killed; what the kernel has not
// taken down yet goes behind it, and is gone when the host is closed. It fills
// Usage's RunMS, CPUMS and MemoryPeakBytes. If ctx ends first the script is
// killed and the outcome is "cancelled".
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
	// A runner that is already dead shows in the evidence.
	_ = s.channel.SetWriteDeadline(started.Add(s.limits.Wall))
	_ = s.handOver(script, inputs)

	found := s.supervise(ctx, deadline.C, reports)
	outcome := s.conclude(found)
	outcome.Usage.RunMS = jobs.Milliseconds(time.Since(started))
	return outcome
}

// said is the runner's report, or why there is none.
type said struct {
	report report
	err    error
}

// listen reads the one report that counts, in a goroutine that ends with the
// channel. The result is buffered: nobody has to take it.
func (s *Sandbox) listen() <-chan said {
	reports := make(chan said, 1)
	go func() {
		r, err := readReport(s.channel, s.limits)
		reports <- said{r, err}
	}()
	return reports
}

// supervise waits until everything inside is dead, and kills it when a limit is
// reached. The runner's report alone ends nothing: the script's process does, and
// once that has begun to and the report is there, nothing more can be learnt.
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
			return found // Discard says so in the log
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

// end kills everything inside, at once or, where the script may hold back text,
// once the channel that it returns has a value.
func (s *Sandbox) end(why cause) <-chan time.Time {
	if why.leavesText() {
		_ = s.channel.CloseWrite()
		return time.After(lastWords)
	}
	s.body.kill()
	return nil
}

// overLimit looks at the group's counters.
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

// gather takes what is there once everything inside is dead: the channel's other
// end is closed then, or what holds it open is in flight on a socket.
func (s *Sandbox) gather(found *evidence, reports <-chan said) {
	if reports != nil {
		unblock := time.AfterFunc(drainBound, func() { _ = s.channel.Close() })
		said := <-reports
		unblock.Stop()
		found.report, found.reportErr = said.report, said.err
	}
	found.ending = s.body.ending()
}

// conclude reads the counters, decides, and leaves nothing behind.
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
	// First the channel: descriptors that the script sent on it, and nobody
	// read, would keep the outputs open.
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

// Discard ends a sandbox and waits until nothing of it is left. It may be
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
