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
)

// zygote is one nsjail that holds a loaded interpreter, from which sandboxes
// are forked. It belongs to a pool, which closes it.
type zygote struct {
	host   *Host
	logger *slog.Logger
	jail   *jail
	conn   *net.UnixConn
	output *output
	group  *cgroup.Group

	// spent is closed when no more forks are to be made of it.
	spent   chan struct{}
	retire  sync.Once
	reading sync.WaitGroup
	// watching waits for the goroutines of forks.
	watching sync.WaitGroup
	forked   atomic.Int64

	mu    sync.Mutex
	slots map[int]*fork
	next  int
}

// Bounds on a zygote's answers. Loading pandas takes half a second on an idle
// machine; a fork takes milliseconds.
const (
	zygoteStart = 30 * time.Second
	forkBound   = 5 * time.Second
)

// maxControlMessage is the longest message on the control socket.
const maxControlMessage = 4096

// startZygote launches one and waits until its packages are loaded.
func startZygote(ctx context.Context, host *Host, packages []string, logger *slog.Logger) (*zygote, error) {
	plan, err := host.plan(packages)
	if err != nil {
		return nil, err
	}
	group, err := host.newZygoteGroup()
	if err != nil {
		return nil, err
	}
	z := &zygote{host: host, logger: logger, group: group, spent: make(chan struct{}), slots: map[int]*fork{}}
	if err := z.start(plan); err != nil {
		return nil, errors.Join(err, removeGroup(group))
	}
	if err := z.awaitReady(ctx); err != nil {
		z.close()
		return nil, fmt.Errorf("%w; it printed: %q", err, strings.TrimSpace(string(z.output.kept)))
	}
	z.reading.Go(z.read)
	return z, nil
}

func (z *zygote) start(plan string) error {
	conn, control, err := socketpair(unix.SOCK_SEQPACKET, true)
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
	stop := context.AfterFunc(ctx, z.jail.kill)
	defer stop()
	m, err := receive(z.conn)
	switch {
	case err != nil:
		return fmt.Errorf("wait for the zygote: %w", err)
	case m.word != "ready":
		return fmt.Errorf("the zygote says: %s", m.text)
	}
	// Killed itself, and not only by nsjail's death, it is reaped by nsjail: then
	// the jail's end is the end of every fork in it.
	if err := z.jail.watch(m.sender); err != nil {
		return fmt.Errorf("watch the zygote: %w", err)
	}
	return nil
}

// read hands every message on, until the zygote is gone; then every fork is.
func (z *zygote) read() {
	for {
		m, err := receive(z.conn)
		if err != nil {
			break
		}
		z.deliver(m)
	}
	z.retireNow()
	z.jail.kill()
	<-z.jail.gone
	z.mu.Lock()
	defer z.mu.Unlock()
	for slot, f := range z.slots {
		f.lost()
		delete(z.slots, slot)
	}
}

func (z *zygote) deliver(m controlMessage) {
	z.mu.Lock()
	f := z.slots[m.slot]
	if m.word != "forked" {
		delete(z.slots, m.slot)
	}
	z.mu.Unlock()
	if f == nil {
		m.closeFiles()
		return
	}
	f.hear(m)
}

// fork makes a body out of the zygote for the inner ends, whose process will
// run as the user id inside. It is confined when the runner says it is ready.
func (z *zygote) fork(inner *innerEnds, insideID int) (*fork, error) {
	f := newFork(z)
	z.mu.Lock()
	z.next++
	slot := z.next
	z.slots[slot] = f
	z.mu.Unlock()
	files := inner.files()
	fds := make([]int, len(files))
	for i, file := range files {
		fds[i] = int(file.Fd())
	}
	_, _, err := z.conn.WriteMsgUnix(fmt.Appendf(nil, "fork %d %d", slot, insideID), unix.UnixRights(fds...), nil)
	if err != nil {
		z.mu.Lock()
		delete(z.slots, slot)
		z.mu.Unlock()
		return nil, fmt.Errorf("ask the zygote for a fork: %w", err)
	}
	if z.forked.Add(1) >= z.host.settings.ZygoteJobs {
		z.retireNow()
	}
	return f, nil
}

// retireNow says that no more forks are to be made.
func (z *zygote) retireNow() { z.retire.Do(func() { close(z.spent) }) }

// close ends the zygote and every sandbox in it, and waits until they are gone.
func (z *zygote) close() {
	z.retireNow()
	z.jail.kill()
	<-z.jail.gone
	_ = z.conn.Close()
	z.reading.Wait()
	z.watching.Wait()
	z.jail.close()
	z.output.stop()
	if said := strings.TrimSpace(string(z.output.kept)); said != "" {
		z.logger.Warn("a zygote printed something", "text", said)
	}
	if err := removeGroup(z.group); err != nil {
		z.logger.Error("cannot remove a zygote's cgroup", "error", err)
	}
}

// idle reports whether no fork of it lives.
func (z *zygote) idle() bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.slots) == 0
}
