package nsjail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/cgroup"
)

// Acquire launches one nsjail with an interpreter inside and waits until it is
// ready for a script. The caller owns the sandbox and must Run or Discard it.
func (c *Cold) Acquire(ctx context.Context) (*Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, coldStart)
	defer cancel()
	id := c.host.claim.takeID()
	s, err := c.launch(ctx, id)
	if err != nil {
		c.host.claim.giveBack(id)
		return nil, fmt.Errorf("start a sandbox: %w", err)
	}
	return s, nil
}

// Cold makes cold sandboxes: one nsjail for each job. It is safe for
// concurrent use.
type Cold struct {
	host   *Host
	logger *slog.Logger
}

// NewCold makes cold sandboxes on a host that Open prepared; the host outlives it.
func NewCold(host *Host, logger *slog.Logger) *Cold {
	return &Cold{host: host, logger: logger}
}

func (c *Cold) launch(ctx context.Context, id int) (*Sandbox, error) {
	group, err := c.host.newGroup()
	if err != nil {
		return nil, err
	}
	pipes, err := openPipes(group)
	if err != nil {
		return nil, errors.Join(err, removeGroup(group))
	}
	defer pipes.closeInner()
	process, err := startProcess(argv(c.host.launch(id, len(pipes.procs))), pipes.stdoutIn, pipes.stderrIn, pipes.extra())
	if err != nil {
		pipes.closeOuter()
		return nil, errors.Join(err, removeGroup(group))
	}
	pipes.closeInner() // so that they end with the process
	limits := c.host.limits
	s := &Sandbox{
		limits: limits, process: process, channel: pipes.channel, status: pipes.status,
		stdout: collect(pipes.stdout, limits.OutputBytes), stderr: collect(pipes.stderr, limits.OutputBytes),
		log: collect(pipes.log, maxLogBytes), group: group, logger: c.logger,
		release: func() { c.host.claim.giveBack(id) },
	}
	if err := s.awaitReady(ctx); err != nil {
		s.release = func() {} // Acquire gives the id back
		s.Discard()
		return nil, fmt.Errorf("%w; nsjail says: %q", err, strings.TrimSpace(string(s.log.kept)))
	}
	return s, nil
}

// maxLogBytes is how much of nsjail's own log is kept for an error's text.
const maxLogBytes = 4096

// awaitReady waits for the supervisor and for the runner.
func (s *Sandbox) awaitReady(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, s.process.kill)
	defer stop()
	_ = s.status.SetReadDeadline(deadline)
	_ = s.channel.SetReadDeadline(deadline)
	pid, err := awaitSupervisor(s.status)
	if err != nil {
		return fmt.Errorf("wait for the supervisor: %w", err)
	}
	if err := s.process.watch(pid); err != nil {
		return fmt.Errorf("watch pid 1: %w", err)
	}
	if err := readReady(s.channel); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	_ = s.status.SetReadDeadline(time.Time{})
	_ = s.channel.SetReadDeadline(time.Time{})
	return nil
}

// pipes are the ends of everything that connects a sandbox to the worker.
type pipes struct {
	// outer ends, the worker's
	channel, status     *net.UnixConn
	stdout, stderr, log *os.File
	// inner ends, which nsjail inherits
	channelIn, statusIn, stdoutIn, stderrIn, logIn *os.File
	procs                                          []*os.File
}

func openPipes(group *cgroup.Group) (_ *pipes, err error) {
	p := &pipes{}
	defer func() {
		if err != nil {
			p.closeInner()
			p.closeOuter()
		}
	}()
	if p.channel, p.channelIn, err = socketpair(false); err != nil {
		return nil, err
	}
	if p.status, p.statusIn, err = socketpair(true); err != nil {
		return nil, err
	}
	for _, end := range []struct{ outer, inner **os.File }{
		{&p.stdout, &p.stdoutIn}, {&p.stderr, &p.stderrIn}, {&p.log, &p.logIn},
	} {
		if *end.outer, *end.inner, err = os.Pipe(); err != nil {
			return nil, err
		}
	}
	if group != nil {
		if p.procs, err = group.OpenProcs(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// extra are the descriptors from 3 on, in argv's order.
func (p *pipes) extra() []*os.File {
	files := append([]*os.File{p.channelIn, p.statusIn}, p.procs...)
	return append(files, p.logIn)
}

func (p *pipes) closeInner() {
	closeAll(append([]io.Closer{p.channelIn, p.statusIn, p.stdoutIn, p.stderrIn, p.logIn}, closers(p.procs)...))
}

func (p *pipes) closeOuter() {
	closeAll([]io.Closer{p.stdout, p.stderr, p.log})
	if p.channel != nil {
		_ = p.channel.Close()
	}
	if p.status != nil {
		_ = p.status.Close()
	}
}

func closers(files []*os.File) []io.Closer {
	all := make([]io.Closer, 0, len(files))
	for _, f := range files {
		all = append(all, f)
	}
	return all
}

// closeAll closes what is open; a nil or closed *os.File only gives an error.
func closeAll(all []io.Closer) {
	for _, c := range all {
		_ = c.Close()
	}
}

// socketpair makes a connected pair of stream sockets. With credentials, what
// is read from the outer end carries the sender's process id.
func socketpair(credentials bool) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	outer, inner := os.NewFile(uintptr(fds[0]), "outer"), os.NewFile(uintptr(fds[1]), "inner")
	defer outer.Close() //nolint:errcheck // FileConn works on a copy
	if credentials {
		if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			_ = inner.Close()
			return nil, nil, err
		}
	}
	conn, err := net.FileConn(outer)
	if err != nil {
		_ = inner.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), inner, nil
}
