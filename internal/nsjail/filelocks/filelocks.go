// Package filelocks counts the file locks that jobs hold. The kernel allocates a POSIX lock (fcntl(2), F_SETLK) for
// each range of bytes that is locked, charges it to no cgroup (CVE-2022-0480), and has no limit on their number:
// RLIMIT_LOCKS has had no effect since Linux 2.4. /proc/locks lists them all, with the process that made each.
//
// Locks of open file descriptions (F_OFD_SETLK) have no process in that list, so the system call filter refuses them;
// it also refuses processes that share their descriptors, since a lock of one would outlive it. A lock by flock(2)
// belongs to an open file, and RLIMIT_NOFILE bounds those.
package filelocks

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Limit is the most locks that the processes of a job may hold together. A lock takes 192 bytes, so they take 384 KiB.
// SQLite holds at most five for each connection; 64 processes with a connection each hold 320.
const Limit = 2048

// readEvery is the interval at which the list is read while jobs run.
const readEvery = 50 * time.Millisecond

// foreignJobs is how many jobs' worth of locks other programs on this machine may hold before the list is too long to
// be read. The kernel walks the list from its start for each page that is read: the cost grows with the square.
const foreignJobs = 32

// Table counts locks for all jobs of a worker. It reads the list while jobs are watched. Its owner calls Close. A nil
// Table counts nothing.
type Table struct {
	path   string
	limit  int
	logger *slog.Logger

	mu      sync.Mutex
	jobs    map[*Job]struct{}
	running bool
	closed  chan struct{}
	loops   sync.WaitGroup
	tooLong sync.Once
}

// Open returns the Table of this machine, or an error if this process cannot read /proc/locks, as inside gVisor.
func Open() (*Table, error) {
	const path = "/proc/locks"
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("file locks cannot be counted: %w", err)
	}
	_ = f.Close()
	return newTable(path, Limit), nil
}

func newTable(path string, limit int) *Table {
	return &Table{
		path: path, limit: limit, logger: slog.New(slog.DiscardHandler),
		jobs: map[*Job]struct{}{}, closed: make(chan struct{}),
	}
}

// LogTo sets where the Table logs that it cannot count. It must be called before the first Watch.
func (t *Table) LogTo(logger *slog.Logger) {
	if t != nil {
		t.logger = logger
	}
}

// Close stops the reading and waits for it. No job may be watched any more.
func (t *Table) Close() {
	if t == nil {
		return
	}
	close(t.closed)
	t.loops.Wait()
}

// Job is a running job whose locks are counted.
type Job struct {
	table *Table
	roots []int
	over  chan int
	// notified is true once over has received a number.
	notified bool
}

// Watch counts the locks of the processes with the ids roots, and of their descendants. The caller calls Stop.
func (t *Table) Watch(roots []int) *Job {
	if t == nil || len(roots) == 0 {
		return nil
	}
	j := &Job{table: t, roots: roots, over: make(chan int, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.jobs[j] = struct{}{}
	if !t.running {
		t.running = true
		t.loops.Go(t.readWhileWatched)
	}
	return j
}

// Over returns a channel that receives a number of locks above Limit that the job holds; nil for a nil Job.
func (j *Job) Over() <-chan int {
	if j == nil {
		return nil
	}
	return j.over
}

// Stop ends the counting.
func (j *Job) Stop() {
	if j == nil {
		return
	}
	j.table.mu.Lock()
	defer j.table.mu.Unlock()
	delete(j.table.jobs, j)
}

// readWhileWatched reads the list at intervals until no job is watched. An interval is at least as long as the last
// reading: that takes no processor time while it waits for the kernel's lock.
func (t *Table) readWhileWatched() {
	pause := time.NewTimer(readEvery)
	defer pause.Stop()
	for {
		select {
		case <-t.closed:
			return
		case <-pause.C:
		}
		watched := t.watched()
		if watched == nil {
			return
		}
		began := time.Now()
		t.read(watched)
		pause.Reset(max(readEvery, time.Since(began)))
	}
}

// watched returns the jobs by their root processes; nil if there are none, and then the loop must end.
func (t *Table) watched() map[int]*Job {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.jobs) == 0 {
		t.running = false
		return nil
	}
	roots := make(map[int]*Job, 2*len(t.jobs))
	for j := range t.jobs {
		for _, pid := range j.roots {
			roots[pid] = j
		}
	}
	return roots
}

// read reads the list and notifies the jobs that are over the limit. It stops at the first such job, since the kernel
// takes longer for each page of a list that grows.
func (t *Table) read(roots map[int]*Job) {
	list, err := os.Open(t.path)
	if err != nil {
		return // it was there when the worker started
	}
	defer list.Close()
	count := newCount(roots)
	longest := t.limit * (len(roots) + foreignJobs)
	page := make([]byte, os.Getpagesize())
	for {
		n, err := list.Read(page)
		count.add(page[:n])
		if count.lines > t.limit {
			if job, held := count.over(t.limit); job != nil {
				job.notify(held)
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.logger.Error("cannot read the list of file locks", "error", err)
			return
		case count.lines > longest:
			t.tooLong.Do(func() {
				t.logger.Error("this machine holds too many file locks to count those of jobs", "locks", count.lines)
			})
			return
		}
	}
}

// notify sends the number to the job, once. The job's locks stay in the list until its processes are dead.
func (j *Job) notify(held int) {
	j.notified = true
	j.over <- held
}
