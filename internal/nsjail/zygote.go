package nsjail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/wire"
)

// zygote is an nsjail with a loaded interpreter, from which sandboxes are forked. Its pool closes
// it.
type zygote struct {
	host   *Host
	logger *slog.Logger
	jail   *jail
	conn   *net.UnixConn
	output *output
	group  *cgroup.Group

	// retiring is closed when its successor should start, retired when it may no longer fork.
	retiring, retired         chan struct{}
	retiringOnce, retiredOnce sync.Once
	// abandoned is closed if the zygote does not die.
	abandoned chan struct{}
	reader    sync.WaitGroup
	// forkWatchers waits for the goroutines of the forks.
	forkWatchers sync.WaitGroup
	forkCount    atomic.Int64

	mu       sync.Mutex
	forks    map[int]*fork
	lastSlot int
}

// Bounds on how long a zygote takes. To load pandas takes half a second on an idle machine; a fork
// takes milliseconds.
const (
	zygoteStart = 30 * time.Second
	forkBound   = 5 * time.Second
)

// startZygote starts a zygote and blocks until its packages are loaded.
func startZygote(ctx context.Context, host *Host, packages []string, logger *slog.Logger) (*zygote, error) {
	plan, err := host.plan(packages)
	if err != nil {
		return nil, err
	}
	group, err := host.newZygoteGroup()
	if err != nil {
		return nil, err
	}
	z := &zygote{host: host, logger: logger, group: group, forks: map[int]*fork{}, retiring: make(chan struct{}), retired: make(chan struct{}), abandoned: make(chan struct{})}
	if err := z.start(plan); err != nil {
		return nil, errors.Join(err, removeGroup(group))
	}
	if err := z.awaitReady(ctx); err != nil {
		z.close()
		return nil, fmt.Errorf("%w; it printed: %q", err, strings.TrimSpace(string(z.output.kept)))
	}
	z.reader.Go(z.read)
	return z, nil
}

func (z *zygote) start(plan string) error {
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
	extra := []*os.File{control}
	if z.group != nil {
		procs, err := z.group.OpenProcs()
		if err != nil {
			_ = conn.Close()
			_ = printed.Close()
			return err
		}
		defer closeFiles(procs...)
		extra = append(extra, procs...)
	}
	z.jail, err = startJail(zygoteArgv(z.host.zygoteLaunch(plan, len(extra)-1)), printing, printing, extra)
	if err != nil {
		_ = conn.Close()
		_ = printed.Close()
		return err
	}
	z.conn, z.output = conn, collect(printed, maxLogBytes, nil)
	return nil
}

func (z *zygote) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, zygoteStart)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		z.jail.kill()
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
	// kill must reach the zygote itself, not only nsjail: then nsjail reaps it, and gone means that
	// every fork is dead.
	if err := z.jail.watch(m.Sender); err != nil {
		return fmt.Errorf("watch the zygote: %w", err)
	}
	return nil
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
	z.retire()
	z.jail.kill()
	select {
	case <-z.jail.gone:
	case <-z.abandoned:
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	for slot, f := range z.forks {
		f.lost()
		delete(z.forks, slot)
	}
}

func (z *zygote) deliver(m wire.ControlMessage) {
	z.mu.Lock()
	f := z.forks[m.Slot]
	if m.Word != "forked" {
		delete(z.forks, m.Slot)
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

// fork asks the zygote for a fork that has the inner ends and runs as user insideID. The fork is
// confined once its runner is ready. It returns errRetired if the zygote is retired.
func (z *zygote) fork(inner *innerEnds, insideID int) (*fork, error) {
	f := newFork(z)
	z.mu.Lock()
	if z.isRetired() { // under mu: a retired and idle zygote stays idle
		z.mu.Unlock()
		return nil, errRetired
	}
	z.lastSlot++
	slot := z.lastSlot
	z.forks[slot] = f
	z.mu.Unlock()
	files := inner.files()
	fds := make([]int, len(files))
	for i, file := range files {
		fds[i] = int(file.Fd())
	}
	_ = z.conn.SetWriteDeadline(time.Now().Add(forkBound))
	_, _, err := z.conn.WriteMsgUnix(fmt.Appendf(nil, "fork %d %d", slot, insideID), unix.UnixRights(fds...), nil)
	if err != nil {
		z.mu.Lock()
		delete(z.forks, slot)
		z.mu.Unlock()
		return nil, fmt.Errorf("ask the zygote for a fork: %w", err)
	}
	z.countFork()
	return f, nil
}

// countFork counts a fork. At Settings.ZygoteJobs forks the zygote is retiring; at twice as many it is
// retired, even without a successor, since all forks share its address layout.
func (z *zygote) countFork() {
	switch n, bound := z.forkCount.Add(1), z.host.settings.ZygoteJobs; {
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

// close kills the zygote and every sandbox in it, and blocks until they are gone, teardownBound at
// most: a process in uninterruptible sleep does not die before the kernel wakes it. Such a zygote
// is abandoned; its nsjail waits for it and dies with the worker.
func (z *zygote) close() {
	z.retire()
	z.jail.kill()
	select {
	case <-z.jail.gone:
	case <-time.After(teardownBound):
		z.abandon()
		return
	}
	_ = z.conn.Close()
	z.reader.Wait()
	z.forkWatchers.Wait()
	z.jail.close()
	z.output.stop()
	if printed := strings.TrimSpace(string(z.output.kept)); printed != "" {
		z.logger.Warn("zygote printed", "text", printed)
	}
	if err := removeGroup(z.group); err != nil {
		z.logger.Error("cannot remove a zygote's cgroup", "error", err)
	}
}

// abandon releases everything of a zygote that does not die, except its process and its cgroup. Its
// forks count as dead.
func (z *zygote) abandon() {
	z.logger.Error("a zygote does not die; it is abandoned", "bound", teardownBound, "pid", z.jail.cmd.Process.Pid)
	close(z.abandoned)
	_ = z.conn.Close()
	z.reader.Wait()
	z.jail.close()
	z.output.stop()
}

// idle reports whether none of its forks is left.
func (z *zygote) idle() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.forks) == 0
}
