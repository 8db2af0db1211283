package jail

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/seccomp"
	"cellblock/internal/nsjail/watchdog"
	"cellblock/internal/nsjail/wire"
)

// Provider makes cold sandboxes: one nsjail for each job. It is safe for concurrent use.
type Provider struct {
	host   *host.Host
	python host.Interpreter
	logger *slog.Logger
}

// NewProvider writes the nsjail configuration of cold sandboxes with an interpreter into the directory of the host,
// which must be closed after the last sandbox is gone.
func NewProvider(h *host.Host, python host.Interpreter, logger *slog.Logger) (*Provider, error) {
	config, err := MachineConfig(h, python, seccomp.Kafel(seccomp.Arch(runtime.GOARCH), FilterOptions(h)))
	if err != nil {
		return nil, err
	}
	p := &Provider{host: h, python: python, logger: logger}
	return p, os.WriteFile(p.configPath(), []byte(config), 0o644)
}

// Acquire starts an nsjail with an interpreter inside and blocks until it is ready, for startBound. The script
// makes no difference. The caller owns the sandbox and must call Run or Discard.
func (p *Provider) Acquire(ctx context.Context, _ string) (*sandbox.Sandbox, error) {
	s, err := p.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start a sandbox: %w", err)
	}
	return s, nil
}

// Kind is the kind of the sandboxes made here.
const Kind = "cold"

// Kind implements nsjail.Provider.
func (*Provider) Kind() string { return Kind }

// Ready implements nsjail.Provider: cold sandboxes are made when a job needs one.
func (*Provider) Ready() int { return 0 }

// ReadyByKind implements nsjail.Provider.
func (*Provider) ReadyByKind() map[string]int { return nil }

// Close does nothing: no sandbox is kept ready.
func (*Provider) Close() {}

func (p *Provider) configPath() string {
	return filepath.Join(p.host.Dir, p.python.FileName("nsjail.cfg"))
}

func (p *Provider) start(ctx context.Context) (*sandbox.Sandbox, error) {
	limits := p.host.Limits
	group, uid, err := p.host.AcquireJob(sandbox.GroupLimits(limits, overheadProcesses))
	if err != nil {
		return nil, err
	}
	var started *processes
	s, err := sandbox.New(sandbox.Config{
		Limits: limits, Group: group, Locks: p.host.Locks, UID: uid, Release: func() { p.host.Slot.Release(uid) },
		Start: func(inner *sandbox.InnerEnds) (sandbox.ProcessTree, error) {
			var err error
			started, err = startProcesses(p.host, p.configPath(), argv(launch{
				Python: p.python.Python, OutsideUID: uid, Limits: limits, Cgroups: len(inner.Procs),
			}), inner)
			return started, err
		},
		OverheadProcesses: overheadProcesses, StartTeardown: p.host.Teardowns.Start, Logger: p.logger,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := watchdog.Context(ctx, startBound, func() []int { return append(started.PIDs(), group.PIDs()...) })
	defer cancel()
	if err := s.AwaitReady(ctx); err != nil {
		s.Discard()
		return nil, fmt.Errorf("%w; nsjail printed: %q", err, started.log.Text())
	}
	return s, nil
}

// processes is one nsjail and the status socket of its supervisor. It implements sandbox.ProcessTree.
type processes struct {
	jail   *Process
	status *net.UnixConn
	// log is the output of nsjail itself; empty unless nsjail reports an error.
	log *sandbox.Output
}

// MaxLogBytes is how much of nsjail's own output is kept for error messages.
const MaxLogBytes = 4096

func startProcesses(h *host.Host, config string, args []string, inner *sandbox.InnerEnds) (*processes, error) {
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
	extra := append([]*os.File{inner.Channel, statusIn}, inner.Procs...)
	jail, err := Start(h, config, args, inner.Stdout, inner.Stderr, append(extra, logIn))
	if err != nil {
		_ = status.Close()
		_ = log.Close()
		return nil, err
	}
	return &processes{jail: jail, status: status, log: sandbox.Collect(log, MaxLogBytes, nil)}, nil
}

// AwaitStart implements sandbox.ProcessTree: it blocks until the supervisor is ready.
func (p *processes) AwaitStart(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.status.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	pid, err := wire.ReadSupervisorReady(p.status)
	if err != nil {
		return fmt.Errorf("wait for the supervisor: %w", err)
	}
	if err := p.jail.Watch(pid); err != nil {
		return fmt.Errorf("watch pid 1: %w", err)
	}
	if !stop() {
		return fmt.Errorf("wait for the supervisor: %w", os.ErrDeadlineExceeded)
	}
	return nil
}

// Roots implements sandbox.ProcessTree.
func (p *processes) Roots() []int { return []int{p.jail.FirstPID()} }

// PIDs implements sandbox.ProcessTree: nsjail, and pid 1 inside once it is known.
func (p *processes) PIDs() []int { return p.jail.PIDs() }

func (p *processes) Kill()                       { p.jail.Kill() }
func (p *processes) Dead() <-chan struct{}       { return p.jail.Gone }
func (p *processes) ExitStatus() wire.ExitStatus { return wire.ReadExitStatus(p.status) }

// EarlyExitStatus implements sandbox.ProcessTree. It always returns false: only the supervisor can see the script's
// process.
func (p *processes) EarlyExitStatus() (syscall.WaitStatus, bool) { return 0, false }

func (p *processes) Close() {
	p.jail.Close()
	_ = p.status.Close()
	p.log.Stop()
}
