package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/filelocks"
	"cellblock/internal/nsjail/watchdog"
	"cellblock/internal/nsjail/wire"
)

// Config is what a Sandbox is made of.
type Config struct {
	// Limits are the worker's; a request may lower them.
	Limits jobs.Limits
	// Group is nil if cgroups are not in use. The Sandbox removes it.
	Group *cgroup.Group
	// Locks counts the job's file locks; nil if they cannot be counted here.
	Locks *filelocks.Table
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
	channel   wire.Channel
	outputs
	group             *cgroup.Group
	locks             *filelocks.Table
	overheadProcesses int
	release           func()
	startTeardown     func(teardown func())
	logger            *slog.Logger
	// untouched is true if the script was not handed over before the processes died.
	untouched bool

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
		group:   c.Group, locks: c.Locks, overheadProcesses: c.OverheadProcesses,
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
	// AwaitStart blocks until the processes are known. It returns an error that wraps os.ErrDeadlineExceeded if ctx is
	// done first.
	AwaitStart(ctx context.Context) error
	// PIDs returns the processes that are known and must make progress for all of them to start or to die.
	PIDs() []int
	// Roots returns the process ids, in the worker's pid namespace, of which at least one is an ancestor of each
	// process inside. It may be called after AwaitStart, and returns none for processes that cannot be identified.
	Roots() []int
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

// TeardownBound is how long killed processes may take to be gone, as package watchdog counts time.
// That takes milliseconds unless the machine is in trouble.
const TeardownBound = 10 * time.Second

// AwaitReady blocks until the runner waits for its script. When ctx is done, the sandbox is killed, and the error wraps
// os.ErrDeadlineExceeded. After an error, the caller must call Discard.
func (s *Sandbox) AwaitReady(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		_ = s.channel.SetReadDeadline(time.Unix(1, 0)) // first: the kill ends the channel
		s.processes.Kill()
	})
	defer stop()
	if err := s.processes.AwaitStart(ctx); err != nil {
		return err
	}
	if err := wire.ReadReady(s.channel); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	if !stop() {
		return fmt.Errorf("wait for the runner: %w", os.ErrDeadlineExceeded)
	}
	return nil
}

// Started reports whether code of the script may have run. It is false only after a Run whose sandbox died before the
// whole script had reached it; then the job can run in another one.
func (s *Sandbox) Started() bool { return !s.untouched }

// pids returns the processes of the sandbox that are known.
func (s *Sandbox) pids() []int { return append(s.processes.PIDs(), s.group.PIDs()...) }

// StderrText returns what the sandbox has written to stderr. The sandbox must be discarded.
func (s *Sandbox) StderrText() string {
	text, _ := s.stderr.readAll()
	return text
}

// Discard kills a sandbox and blocks until nothing of it is left, or for TeardownBound. It may be called more than
// once.
func (s *Sandbox) Discard() {
	s.discarded.Do(func() {
		s.processes.Kill()
		release := s.release
		if !watchdog.Wait(s.processes.Dead(), TeardownBound, s.pids) {
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
