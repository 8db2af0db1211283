// Package cgroup gives each job a control group of its own, on version 1 and 2
// alike: made before the job, read before it is removed.
//
// The process joins by itself: it is handed its group's open cgroup.procs files
// and writes "0" into them. The kernel judges such a write by who opened the
// file (since 5.16, CVE-2021-4197), so a sandbox without any right can make it,
// and no process id has to be trusted.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound everything in a group together.
type Limits struct {
	MemoryBytes int64
	// Processes counts threads too.
	Processes int
}

// Stats are a group's counters.
type Stats struct {
	// CPU is user and system time since the group was made.
	CPU time.Duration
	// MemoryPeakBytes is the most that was charged at once; -1 where the
	// kernel does not tell (version 2 before Linux 5.19).
	MemoryPeakBytes int64
	// OOMKills counts the processes that were killed for want of memory.
	OOMKills int
	// Refusals counts the processes and threads that were not made, since there
	// were as many as allowed.
	Refusals int
}

// Hierarchy is the place under which a worker makes its jobs' groups.
type Hierarchy struct {
	version version
	// parents are the worker's own folders, one for each mounted hierarchy.
	parents []string
	// left are groups of a killed worker that could not be removed.
	left []string
}

// version is what differs between the two.
type version interface {
	name() string
	limit(dirs []string, l Limits) error
	// weigh gives a group the weight of so many ordinary processes.
	weigh(dirs []string, processes int) error
	stats(dirs []string) (Stats, error)
}

// Open finds the hierarchies of this machine, makes the folder name in each
// below the process's own group, and clears what a killed worker of the same
// name left there, but for what cannot be removed (see Left). The name must not
// be in use by a living worker. An error
// says why cgroups cannot be used here.
func Open(name string) (*Hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	h, err := find(string(mounts), string(own))
	if err != nil {
		return nil, err
	}
	if err := h.take(name); err != nil {
		return nil, err
	}
	return h, nil
}

// take makes the worker's folders, empty, and tries out whether limits can be set.
func (h *Hierarchy) take(name string) error {
	if unified, ok := h.version.(v2); ok {
		if err := unified.delegate(h.parents[0]); err != nil {
			return err
		}
	}
	for i, parent := range h.parents {
		h.parents[i] = filepath.Join(parent, name)
		if err := os.Mkdir(h.parents[i], 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("cgroups are not writable: %w", err)
		}
	}
	if unified, ok := h.version.(v2); ok {
		if err := unified.enable(h.parents[0]); err != nil {
			return err
		}
	}
	if err := h.sweep(); err != nil {
		return err
	}
	// All jobs together weigh as much as a process for each processor would:
	// with the default they would share what one process outside gets.
	if err := h.version.weigh(h.parents, runtime.NumCPU()); err != nil {
		return fmt.Errorf("cgroups are not usable: %w", err)
	}
	trial, err := h.New("trial", Limits{MemoryBytes: 64 << 20, Processes: 16})
	if err != nil {
		return fmt.Errorf("cgroups are not usable: %w", err)
	}
	return trial.Remove(context.Background())
}

// Version names what is in use: "cgroup v1" or "cgroup v2".
func (h *Hierarchy) Version() string { return h.version.name() }

// Left are the groups that a killed worker left and that cannot be removed: a
// process in them does not die. Groups of the same names cannot be made.
func (h *Hierarchy) Left() []string { return h.left }

// Close removes the worker's own folders. Its jobs' groups must be gone.
func (h *Hierarchy) Close() error {
	var errs []error
	for _, parent := range h.parents {
		errs = append(errs, os.Remove(parent))
	}
	return errors.Join(errs...)
}

// sweep kills and removes what is left in the worker's folders. What cannot be
// removed is no reason to run jobs without limits.
func (h *Hierarchy) sweep() error {
	for _, parent := range h.parents {
		entries, err := os.ReadDir(parent)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() {
				left := &Group{dirs: []string{filepath.Join(parent, entry.Name())}}
				left.Kill()
				if left.Remove(context.Background()) != nil {
					h.left = append(h.left, left.dirs...)
				}
			}
		}
	}
	return nil
}

// Group is one job's control group. The caller removes it.
type Group struct {
	version version
	dirs    []string
}

// New makes a group with its limits set and nothing in it.
func (h *Hierarchy) New(name string, limits Limits) (*Group, error) {
	g := &Group{version: h.version}
	for _, parent := range h.parents {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(err, g.Remove(context.Background()))
		}
		g.dirs = append(g.dirs, dir)
	}
	if err := h.version.limit(g.dirs, limits); err != nil {
		return nil, errors.Join(err, g.Remove(context.Background()))
	}
	return g, nil
}

// Limit sets the group's limits anew.
func (g *Group) Limit(limits Limits) error { return g.version.limit(g.dirs, limits) }

// OpenProcs opens the files through which a process joins. The caller closes them.
func (g *Group) OpenProcs() ([]*os.File, error) {
	files := make([]*os.File, 0, len(g.dirs))
	for _, dir := range g.dirs {
		f, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			for _, open := range files {
				_ = open.Close()
			}
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// Stats reads the counters.
func (g *Group) Stats() (Stats, error) { return g.version.stats(g.dirs) }

// Kill sends SIGKILL to everything in the group.
func (g *Group) Kill() {
	for _, dir := range g.dirs {
		if os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0) == nil {
			continue // version 2, Linux 5.14 and later
		}
		for _, pid := range pids(dir) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func pids(dir string) []int {
	content, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var all []int
	for line := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			all = append(all, pid)
		}
	}
	return all
}

// removePatience is how long Remove waits for the kernel to let go of a group:
// a dead process still counts until it is reaped.
const removePatience = 2 * time.Second

// Remove deletes the group, waiting a little while its last processes go.
func (g *Group) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, removePatience)
	defer cancel()
	var errs []error
	for _, dir := range g.dirs {
		errs = append(errs, removeDir(ctx, dir))
	}
	return errors.Join(errs...)
}

// removeDir polls, since there is no event for "may be removed" on version 1.
func removeDir(ctx context.Context, dir string) error {
	pause := time.Millisecond
	for {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(2*pause, 50*time.Millisecond)
		}
	}
}
