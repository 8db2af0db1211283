package zygote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/watchdog"
	"cellblock/internal/nsjail/wire"
)

// fork is the processes of a warm sandbox: an init process and the job's process, in a pid namespace inside the
// zygote's. It implements sandbox.ProcessTree.
type fork struct {
	zygote  *zygote
	started chan struct{} // closed once the processes are known or the fork failed
	gone    chan struct{}

	mu         sync.Mutex
	initPidfd  int         // pidfd; -1 unless it lives
	jobPidfd   int         // pidfd; -1 unless it lives
	pidfdFiles [2]*os.File // job and init as files; readable once the process is dead
	// exitWatcher reads the job's exit status early; nil if this machine does not allow it.
	exitWatcher *sandbox.ExitWatcher
	roots       []int // process ids; none until identify
	failed      error
	status      wire.ExitStatus
	startOnce   sync.Once
	endOnce     sync.Once
}

func newFork(z *zygote) *fork {
	return &fork{zygote: z, started: make(chan struct{}), gone: make(chan struct{}), initPidfd: -1, jobPidfd: -1}
}

// handle processes a message of the zygote about this fork.
func (f *fork) handle(m wire.ControlMessage) {
	switch {
	case m.Word == "forked" && len(m.Files) == 2:
		f.mu.Lock()
		f.initPidfd, f.jobPidfd = m.Files[0], m.Files[1]
		f.pidfdFiles = [2]*os.File{os.NewFile(uintptr(f.jobPidfd), "job"), os.NewFile(uintptr(f.initPidfd), "init")}
		f.mu.Unlock()
		f.zygote.forkWatchers.Go(f.awaitEnd)
		f.startOnce.Do(func() { close(f.started) })
	case m.Word == "ended" && len(m.Numbers) == 3:
		f.mu.Lock()
		f.status = wire.ExitStatus{
			Known: true, Status: syscall.WaitStatus(m.Numbers[0]),
			CPU: time.Duration(m.Numbers[1]+m.Numbers[2]) * time.Microsecond,
		}
		f.mu.Unlock()
		f.finish(nil)
	default:
		m.CloseFiles()
		f.finish(fmt.Errorf("the zygote reported: %s", m.Text))
	}
}

// endReportBound is how long a zygote may take to reap the job's process of a fork, and again to report the fork's end
// once it is dead, as package watchdog counts time.
const endReportBound = time.Second

// awaitEnd waits for the end of the job's process and then kills the rest of the fork. A zygote that does not do its
// part within endReportBound hangs and is killed: otherwise, a script that has returned would look like one that takes
// too long. The time that the kernel takes to remove the namespace does not count, since a job can make that long, and
// killing the zygote kills all its sandboxes. For the same reason a namespace that stays is left alone.
func (f *fork) awaitEnd() {
	_ = awaitExit(f.pidfdFiles[0])
	f.Kill()
	// The namespace cannot end before: its init waits until the job's process, whose parent is the zygote, is reaped.
	if !f.awaitReaped() {
		f.killZygote()
		return
	}
	if !f.awaitInit() {
		f.zygote.logger.Error("the namespace of a sandbox does not end", "bound", sandbox.TeardownBound)
		return
	}
	if !watchdog.Wait(f.gone, endReportBound, f.zygote.PIDs) {
		f.killZygote()
	}
}

func (f *fork) killZygote() {
	f.zygote.logger.Error("a zygote hangs; it is killed", "bound", endReportBound, "pid", f.zygote.pid.Load())
	f.zygote.hangs.Store(true)
	f.zygote.jail.Kill()
}

// awaitReaped blocks until the zygote has reaped the job's process, and reports false if it hangs.
func (f *fork) awaitReaped() bool {
	watch := watchdog.New(endReportBound, f.zygote.PIDs)
	ticker := time.NewTicker(watchdog.Tick)
	defer ticker.Stop()
	for {
		f.mu.Lock()
		_, err := sandbox.PIDOf(f.jobPidfd)
		f.mu.Unlock()
		if err != nil {
			return true // reaped, or the fork is closed
		}
		select {
		case <-f.gone:
			return true
		case <-ticker.C:
			if watch.Expired() {
				return false
			}
		}
	}
}

// awaitInit blocks until the init is dead, and reports false if it does not die within TeardownBound.
func (f *fork) awaitInit() bool {
	init := f.pidfdFiles[1]
	watch := watchdog.New(sandbox.TeardownBound, f.PIDs)
	for {
		_ = init.SetReadDeadline(time.Now().Add(watchdog.Tick))
		err := awaitExit(init)
		switch {
		case err == nil:
			return true
		case !errors.Is(err, os.ErrDeadlineExceeded): // closed, when the fork was dead or given up
			select {
			case <-f.gone:
				return true
			default:
				return false
			}
		case watch.Expired():
			return false
		}
	}
}

// PIDs implements sandbox.ProcessTree: the zygote, which makes and reaps the fork, and the fork's two processes.
func (f *fork) PIDs() []int {
	pids := f.zygote.PIDs()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pidfd := range []int{f.initPidfd, f.jobPidfd} {
		if pid, err := sandbox.PIDOf(pidfd); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitExit blocks until the process behind a pidfd is dead. It returns an error if the file is closed or its read
// deadline passes.
func awaitExit(pidfd *os.File) error {
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool { return sandbox.Exited(int(fd)) })
}

// lost ends the fork because its zygote is gone.
func (f *fork) lost() { f.finish(errors.New("the zygote is gone")) }

func (f *fork) finish(failed error) {
	f.endOnce.Do(func() {
		f.mu.Lock()
		f.failed = failed
		f.mu.Unlock()
		f.startOnce.Do(func() { close(f.started) })
		close(f.gone)
	})
}

// AwaitStart blocks until the zygote reported the fork's processes or its failure.
func (f *fork) AwaitStart(ctx context.Context) error {
	select {
	case <-f.started:
	case <-ctx.Done():
		return fmt.Errorf("the zygote did not fork: %w", os.ErrDeadlineExceeded)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *fork) Dead() <-chan struct{} { return f.gone }

// alive reports whether the job's process is alive. It asks the kernel: when a zygote dies, its
// forks die with it, before gone is closed for each of them.
func (f *fork) alive() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jobPidfd >= 0 && !sandbox.Exited(f.jobPidfd)
}

// identify finds the process ids, and enables EarlyExitStatus where this machine supports it. The process must wait for
// its script.
func (f *fork) identify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fd := range []int{f.jobPidfd, f.initPidfd} {
		if pid, err := sandbox.PIDOf(fd); err == nil {
			f.roots = append(f.roots, pid)
		}
	}
	if f.jobPidfd >= 0 {
		f.exitWatcher, _ = sandbox.NewExitWatcher(f.jobPidfd)
	}
}

// Roots implements sandbox.ProcessTree: the job's process, which is a child of the zygote, and the init, which becomes
// the parent of orphans.
func (f *fork) Roots() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roots
}

func (f *fork) EarlyExitStatus() (syscall.WaitStatus, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.exitWatcher == nil {
		return 0, false
	}
	return f.exitWatcher.ExitStatus()
}

func (f *fork) ExitStatus() wire.ExitStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// Kill kills the job's process, for whose end the zygote waits, and then the init, with which the
// kernel kills the whole pid namespace.
func (f *fork) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fd := range []int{f.jobPidfd, f.initPidfd} {
		if fd >= 0 {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
	}
}

func (f *fork) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.initPidfd < 0 {
		return
	}
	for _, file := range f.pidfdFiles {
		_ = file.Close()
	}
	if f.exitWatcher != nil {
		f.exitWatcher.Close()
		f.exitWatcher = nil
	}
	f.initPidfd, f.jobPidfd = -1, -1
}
