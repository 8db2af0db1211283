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
)

// Acquire launches one nsjail with an interpreter inside and waits until it is
// ready, whatever the script. The caller owns the sandbox and must Run or
// Discard it.
func (c *Cold) Acquire(ctx context.Context, _ string) (*Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, coldStart)
	defer cancel()
	id, err := c.host.claim.takeID()
	if err != nil {
		return nil, fmt.Errorf("start a sandbox: %w", err)
	}
	s, err := c.launch(ctx, id)
	if err != nil {
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

// launch owns the id, and gives it back when nothing has it any more.
func (c *Cold) launch(ctx context.Context, id int) (_ *Sandbox, err error) {
	release, started := func() { c.host.claim.giveBack(id) }, false
	defer func() {
		if !started {
			release()
		}
	}()
	group, err := c.host.newGroup(supervisors)
	if err != nil {
		return nil, err
	}
	inner, outer, err := openPipes(group, id)
	if err != nil {
		return nil, errors.Join(err, removeGroup(group))
	}
	defer inner.close()
	body, err := startCold(argv(c.host.launch(id, len(inner.procs))), inner)
	if err != nil {
		outer.close()
		return nil, errors.Join(err, removeGroup(group))
	}
	started = true
	inner.close() // so that they end with the process
	limits := c.host.limits
	s := &Sandbox{
		limits: limits, body: body, channel: outer.channel,
		outputs: collectBoth(outer.stdout, outer.stderr, limits.OutputBytes),
		group:   group, beside: supervisors, logger: c.logger, behind: c.host.teardowns.start, release: release,
	}
	if err := s.awaitReady(ctx, body.awaitSupervisor); err != nil {
		s.Discard()
		return nil, fmt.Errorf("%w; nsjail says: %q", err, body.said())
	}
	return s, nil
}

// awaitReady waits for what started the sandbox, and then for the runner in it.
func (s *Sandbox) awaitReady(ctx context.Context, started func(time.Time) error) error {
	deadline, _ := ctx.Deadline()
	stop := context.AfterFunc(ctx, s.body.kill)
	defer stop()
	if err := started(deadline); err != nil {
		return err
	}
	_ = s.channel.SetReadDeadline(deadline)
	if err := readReady(s.channel); err != nil {
		return fmt.Errorf("wait for the runner: %w", err)
	}
	return s.channel.SetReadDeadline(time.Time{})
}

// coldBody is one nsjail, with the supervisor's status socket.
type coldBody struct {
	jail   *jail
	status *net.UnixConn
	// log is what nsjail itself had to say: nothing, if all is well.
	log *output
}

// maxLogBytes is how much of nsjail's own log is kept for an error's text.
const maxLogBytes = 4096

func startCold(args []string, inner *innerEnds) (*coldBody, error) {
	status, statusIn, err := socketpair(unix.SOCK_STREAM, true)
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
	return &coldBody{jail: jail, status: status, log: collect(log, maxLogBytes, nil)}, nil
}

func (b *coldBody) awaitSupervisor(deadline time.Time) error {
	_ = b.status.SetReadDeadline(deadline)
	pid, err := awaitSupervisor(b.status)
	if err != nil {
		return fmt.Errorf("wait for the supervisor: %w", err)
	}
	if err := b.jail.watch(pid); err != nil {
		return fmt.Errorf("watch pid 1: %w", err)
	}
	return b.status.SetReadDeadline(time.Time{})
}

func (b *coldBody) kill()                 { b.jail.kill() }
func (b *coldBody) dead() <-chan struct{} { return b.jail.gone }
func (b *coldBody) ending() ending        { return readEnding(b.status) }

// settled implements body: the script's process is the supervisor's to know.
func (b *coldBody) settled() (syscall.WaitStatus, bool) { return 0, false }

func (b *coldBody) close() {
	b.jail.close()
	_ = b.status.Close()
	b.log.stop()
}

// said gives nsjail's own log, once the body is closed.
func (b *coldBody) said() string { return strings.TrimSpace(string(b.log.kept)) }
