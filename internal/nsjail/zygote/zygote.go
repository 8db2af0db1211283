package zygote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/jail"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/watchdog"
	"cellblock/internal/nsjail/wire"
)

// zygote is an nsjail with a loaded interpreter, from which sandboxes are forked. Its pool closes
// it.
type zygote struct {
	host     *host.Host
	settings Settings
	logger   *slog.Logger
	jail     *jail.Process
	conn     *net.UnixConn
	output   *sandbox.Output
	group    *cgroup.Group
	// pid is the process id of the interpreter; 0 until it is ready.
	pid atomic.Int64

	// retiring is closed when its successor should start, retired when it may no longer fork.
	retiring, retired         chan struct{}
	retiringOnce, retiredOnce sync.Once
	// abandoned is closed if the zygote does not die.
	abandoned chan struct{}
	// reader waits for the goroutine that reads the control socket.
	reader sync.WaitGroup
	// forkWatchers waits for the goroutines of the forks.
	forkWatchers sync.WaitGroup
	forkCount    atomic.Int64

	// environment is the name of its environment. deathOnce is done once its death is counted.
	environment string
	deathOnce   sync.Once
	// closing is set once it is to end, hangs once it was killed since it did not report an end, and isUnfit once it is
	// to be replaced since it did not fork.
	closing, hangs, isUnfit atomic.Bool

	mu sync.Mutex
	// forks are those that the zygote has not reported as ended, by their numbers.
	forks    map[int]*fork
	lastFork int
}

// Bounds on how long a zygote takes, as package watchdog counts time. To load pandas takes half a second
// on an idle machine; a fork takes milliseconds.
const (
	zygoteStart = 30 * time.Second
	forkBound   = 5 * time.Second
)

// maxProcesses limits the processes in a zygote's own cgroup: itself, and an init for each fork.
const maxProcesses = 4096

// kind is what all zygotes of a pool have.
type kind struct {
	// python is the interpreter, whose configuration is written.
	python host.Interpreter
	// packages are loaded, and exercises run once.
	packages, exercises []string
}

// startZygote starts a zygote and blocks until its packages are loaded.
func startZygote(
	ctx context.Context, h *host.Host, settings Settings, kind kind, logger *slog.Logger,
) (*zygote, error) {
	plan, err := newPlan(h, kind)
	if err != nil {
		return nil, err
	}
	group, err := h.NewGroup("zygote", cgroup.Limits{MemoryBytes: settings.MemoryMB << 20, Processes: maxProcesses})
	if err != nil {
		return nil, err
	}
	z := &zygote{
		host: h, settings: settings, logger: logger, group: group, forks: map[int]*fork{},
		environment: kind.python.Environment,
		retiring:    make(chan struct{}), retired: make(chan struct{}), abandoned: make(chan struct{}),
	}
	if err := z.start(kind.python, plan); err != nil {
		return nil, errors.Join(err, group.Remove(context.WithoutCancel(ctx)))
	}
	if err := z.awaitReady(ctx); err != nil {
		z.close()
		return nil, fmt.Errorf("%w; it printed: %q", err, z.output.Text())
	}
	z.reader.Go(z.read)
	return z, nil
}

func (z *zygote) start(python host.Interpreter, plan string) error {
	conn, control, err := wire.Socketpair(unix.SOCK_SEQPACKET, true)
	if err != nil {
		return err
	}
	defer control.Close()
	printed, printing, err := os.Pipe()
	if err != nil {
		_ = conn.Close()
		return err
	}
	defer printing.Close()
	procs, err := z.group.OpenProcs()
	if err != nil {
		_ = conn.Close()
		_ = printed.Close()
		return err
	}
	defer func() {
		for _, f := range procs {
			_ = f.Close()
		}
	}()
	z.jail, err = jail.Start(z.host, configPath(z.host, python), argv(launch{
		Python:   python.Python,
		FirstUID: z.host.Slot.UIDBase, UIDs: z.host.Slot.UIDs, Plan: plan, Cgroups: len(procs),
	}), printing, printing, append([]*os.File{control}, procs...))
	if err != nil {
		_ = conn.Close()
		_ = printed.Close()
		return err
	}
	z.conn, z.output = conn, sandbox.Collect(printed, jail.MaxLogBytes, nil)
	return nil
}

func (z *zygote) awaitReady(ctx context.Context) error {
	ctx, cancel := watchdog.Context(ctx, zygoteStart, z.PIDs)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		z.jail.Kill()
		_ = z.conn.SetReadDeadline(time.Unix(1, 0)) // a process in uninterruptible sleep outlives the kill
	})
	defer stop()
	m, err := wire.ReadControl(z.conn)
	switch {
	case err != nil:
		return fmt.Errorf("wait for the zygote: %w", err)
	case m.Word != "ready":
		return fmt.Errorf("the zygote reported: %s", m.Text)
	}
	// Kill must reach the zygote itself, not only nsjail: then nsjail reaps it, and Gone means that every fork is dead.
	if err := z.jail.Watch(m.Sender); err != nil {
		return fmt.Errorf("watch the zygote: %w", err)
	}
	z.pid.Store(int64(m.Sender))
	return nil
}

// PIDs returns the processes that a wait for the zygote is a wait for: its interpreter, or, until that is known, nsjail
// and the processes in the zygote's cgroup.
func (z *zygote) PIDs() []int {
	if pid := z.pid.Load(); pid > 0 {
		return []int{int(pid)}
	}
	return append(z.group.PIDs(), z.jail.PID())
}

// read delivers the messages of the zygote until it is gone. Then every fork is lost.
func (z *zygote) read() {
	for {
		m, err := wire.ReadControl(z.conn)
		if err != nil {
			break
		}
		z.deliver(m)
	}
	z.noteLoss()
	z.retire()
	z.jail.Kill()
	select {
	case <-z.jail.Gone:
	case <-z.abandoned:
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	for number, f := range z.forks {
		f.lost()
		delete(z.forks, number)
	}
}

func (z *zygote) deliver(m wire.ControlMessage) {
	z.mu.Lock()
	f := z.forks[m.Fork]
	if m.Word != "forked" {
		delete(z.forks, m.Fork)
	}
	z.mu.Unlock()
	if f == nil {
		m.CloseFiles()
		return
	}
	f.handle(m)
}

// errRetired is returned by fork if the zygote is retired.
var errRetired = errors.New("the zygote is retired")

// fork asks the zygote for a fork that has the inner ends and runs as user uid inside. The fork is
// confined once its runner is ready. It returns errRetired if the zygote is retired.
func (z *zygote) fork(inner *sandbox.InnerEnds, uid int) (*fork, error) {
	f := newFork(z)
	z.mu.Lock()
	if z.isRetired() { // under mu: a retired and idle zygote stays idle
		z.mu.Unlock()
		return nil, errRetired
	}
	z.lastFork++
	number := z.lastFork
	z.forks[number] = f
	z.mu.Unlock()
	files := inner.Files()
	fds := make([]int, len(files))
	for i, file := range files {
		fds[i] = int(file.Fd())
	}
	_ = z.conn.SetWriteDeadline(time.Now().Add(forkBound))
	_, _, err := z.conn.WriteMsgUnix(fmt.Appendf(nil, "fork %d %d", number, uid), unix.UnixRights(fds...), nil)
	if err != nil {
		z.mu.Lock()
		delete(z.forks, number)
		z.mu.Unlock()
		return nil, fmt.Errorf("ask the zygote for a fork: %w", err)
	}
	z.countFork()
	return f, nil
}

// countFork counts a fork. At Settings.Jobs forks the zygote is retiring; at twice as many it is
// retired, even without a successor, since all forks share its address layout.
func (z *zygote) countFork() {
	switch n, bound := z.forkCount.Add(1), z.settings.Jobs; {
	case n >= 2*bound:
		z.retire()
	case n >= bound:
		z.startRetiring()
	}
}

// startRetiring requests a successor.
func (z *zygote) startRetiring() { z.retiringOnce.Do(func() { close(z.retiring) }) }

// retire stops the forking and requests a successor.
func (z *zygote) retire() {
	z.startRetiring()
	z.retiredOnce.Do(func() { close(z.retired) })
}

func (z *zygote) isRetired() bool {
	select {
	case <-z.retired:
		return true
	default:
		return false
	}
}

// close kills the zygote and every sandbox in it, and blocks until they are gone, for TeardownBound (package watchdog):
// a process in uninterruptible sleep does not die before the kernel wakes it. Such a zygote is abandoned; its nsjail
// waits for it and dies with the worker.
func (z *zygote) close() {
	z.closing.Store(true)
	if z.isUnfit.Load() {
		z.die(stuck)
	}
	z.retire()
	z.jail.Kill()
	if !watchdog.Wait(z.jail.Gone, sandbox.TeardownBound, func() []int { return append(z.PIDs(), z.jail.PID()) }) {
		z.abandon()
		return
	}
	_ = z.conn.Close()
	z.reader.Wait()
	z.forkWatchers.Wait()
	z.jail.Close()
	z.output.Stop()
	if printed := z.output.Text(); printed != "" {
		z.logger.Warn("zygote printed", "text", printed)
	}
	if err := z.group.Remove(context.Background()); err != nil {
		z.logger.Error("cannot remove a zygote's cgroup", "error", err)
	}
}

// abandon releases everything of a zygote that does not die, except its process and its cgroup. Its
// forks count as dead.
func (z *zygote) abandon() {
	z.logger.Error("a zygote does not die; it is abandoned", "bound", sandbox.TeardownBound, "pid", z.jail.PID())
	close(z.abandoned)
	_ = z.conn.Close()
	z.reader.Wait()
	z.jail.Close()
	z.output.Stop()
}

// idle reports whether none of its forks is left.
func (z *zygote) idle() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.forks) == 0
}
