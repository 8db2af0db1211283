package nsjail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/wire"
)

// Acquire starts an nsjail with an interpreter inside and blocks until it is ready, for coldStart
// at most. The script makes no difference. The caller owns the sandbox and must call Run or
// Discard. The error wraps errNoUID if every user id is in use.
func (c *Cold) Acquire(ctx context.Context, _ string) (*Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, coldStart)
	defer cancel()
	id, err := c.host.slot.acquire()
	if err != nil {
		return nil, fmt.Errorf("start a sandbox: %w", err)
	}
	s, err := c.launch(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("start a sandbox: %w", err)
	}
	return s, nil
}

// Cold makes cold sandboxes: one nsjail for each job. It is safe for concurrent use.
type Cold struct {
	host   *Host
	logger *slog.Logger
}

// NewCold returns a Cold for a host that Open prepared. The host must outlive it.
func NewCold(host *Host, logger *slog.Logger) *Cold {
	return &Cold{host: host, logger: logger}
}

// launch takes ownership of the id and releases it once the sandbox is gone or did not start.
func (c *Cold) launch(ctx context.Context, id int) (_ *Sandbox, err error) {
	release, started := func() { c.host.slot.release(id) }, false
	defer func() {
		if !started {
			release()
		}
	}()
	group, err := c.host.newGroup(coldOverhead)
	if err != nil {
		return nil, err
	}
	inner, outer, err := openPipes(group, id)
	if err != nil {
		return nil, errors.Join(err, removeGroup(group))
	}
	defer inner.close()
	processes, err := startCold(argv(c.host.launch(id, len(inner.procs))), inner)
	if err != nil {
		outer.close()
		return nil, errors.Join(err, removeGroup(group))
	}
	started = true
	inner.close() // so that EOF comes when the process exits
	limits := c.host.limits
	s := &Sandbox{
		limits: limits, processes: processes, channel: outer.channel,
		outputs: collectBoth(outer.stdout, outer.stderr, limits.OutputBytes),
		group:   group, overheadProcesses: coldOverhead, logger: c.logger, startTeardown: c.host.teardowns.start, release: release,
	}
	if err := s.awaitReady(ctx, processes.awaitSupervisor); err != nil {
		s.Discard()
		return nil, fmt.Errorf("%w; nsjail printed: %q", err, processes.nsjailOutput())
	}
	return s, nil
}

// awaitReady blocks until started returns, then until the runner is ready. It kills the sandbox
// when ctx is done.
func (s *Sandbox) awaitReady(ctx context.Context, started func(time.Time) error) error {
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, s.processes.kill)
	defer stop()
	if err := started(deadline); err != nil {
		return err
	}
	_ = s.channel.SetReadDeadline(deadline)
	if err := wire.ReadReady(s.channel); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	return s.channel.SetReadDeadline(time.Time{})
}

// coldProcesses is one nsjail and the status socket of its supervisor.
type coldProcesses struct {
	jail   *jail
	status *net.UnixConn
	// log is the output of nsjail itself; empty unless nsjail reports an error.
	log *output
}

// maxLogBytes is how much of nsjail's own output is kept for error messages.
const maxLogBytes = 4096

func startCold(args []string, inner *innerEnds) (*coldProcesses, error) {
	status, statusIn, err := wire.Socketpair(unix.SOCK_STREAM, true)
	if err != nil {
		return nil, err
	}
	defer statusIn.Close()
	log, logIn, err := os.Pipe()
	if err != nil {
		_ = status.Close()
		return nil, err
	}
	defer logIn.Close()
	extra := append([]*os.File{inner.channel, statusIn}, inner.procs...)
	jail, err := startJail(args, inner.stdout, inner.stderr, append(extra, logIn))
	if err != nil {
		_ = status.Close()
		_ = log.Close()
		return nil, err
	}
	return &coldProcesses{jail: jail, status: status, log: collect(log, maxLogBytes, nil)}, nil
}

func (b *coldProcesses) awaitSupervisor(deadline time.Time) error {
	_ = b.status.SetReadDeadline(deadline)
	pid, err := wire.ReadSupervisorReady(b.status)
	if err != nil {
		return fmt.Errorf("wait for the supervisor: %w", err)
	}
	if err := b.jail.watch(pid); err != nil {
		return fmt.Errorf("watch pid 1: %w", err)
	}
	return b.status.SetReadDeadline(time.Time{})
}

func (b *coldProcesses) kill()                       { b.jail.kill() }
func (b *coldProcesses) dead() <-chan struct{}       { return b.jail.gone }
func (b *coldProcesses) exitStatus() wire.ExitStatus { return wire.ReadExitStatus(b.status) }

// earlyExitStatus implements processTree. It always returns false: only the supervisor can see the
// script's process.
func (b *coldProcesses) earlyExitStatus() (syscall.WaitStatus, bool) { return 0, false }

func (b *coldProcesses) close() {
	b.jail.close()
	_ = b.status.Close()
	b.log.stop()
}

// nsjailOutput returns nsjail's own output. The processes must be closed.
func (b *coldProcesses) nsjailOutput() string { return strings.TrimSpace(string(b.log.kept)) }
