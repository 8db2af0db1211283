// Package cgroup limits and measures each job with its own control group, on cgroup version 1 or 2.
// The group is created before the job starts, and read before it is removed.
//
// A process joins its group itself: it inherits the open cgroup.procs files and writes "0" into
// them. The kernel checks such a write against the credentials of the opener (since 5.16,
// CVE-2021-4197), so an unprivileged sandbox can make it, and no process id has to be trusted.
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
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/kernfile"
)

// Limits apply to all processes of a group together.
type Limits struct {
	MemoryBytes int64
	// Processes is the most processes and threads, counted together.
	Processes int
}

// Stats are a group's counters.
type Stats struct {
	// CPU is the user and system time since the group was created.
	CPU time.Duration
	// MemoryPeakBytes is the most memory charged at once; -1 if the kernel does not report it
	// (version 2 before Linux 5.19).
	MemoryPeakBytes int64
	// OOMKills counts the processes killed because the group was out of memory.
	OOMKills int
	// Refusals counts the processes and threads refused because of Limits.Processes.
	Refusals int
}

// Hierarchy is where a worker creates the groups of its jobs.
type Hierarchy struct {
	version version
	// parents are the directories of the worker, one for each mounted hierarchy.
	parents []string
	// unremovable are the groups of a killed worker that could not be removed.
	unremovable []string
	// removals counts the removed groups.
	removals atomic.Int64
}

// version covers what differs between cgroup versions 1 and 2.
type version interface {
	name() string
	setLimits(dirs []string, l Limits) error
	// setWeight sets the CPU weight of a group to that of so many ordinary processes.
	setWeight(dirs []string, processes int) error
	stats(dirs []string) (Stats, error)
	// left returns how much kernel memory an empty group has left, and how many removed groups the kernel keeps.
	left(dirs []string) (kernelBytes int64, dying int, err error)
	// reclaim makes the kernel free what an empty group has left.
	reclaim(dirs []string) error
}

// Open finds the cgroup hierarchies of this machine and creates the directory name in each, below
// the group of this process. It removes the groups that a killed worker with the same name left
// there, except those that cannot be removed (see Unremovable). No living worker may use the name. An
// error reports why cgroups cannot be used here.
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
	if err := h.prepare(name); err != nil {
		return nil, err
	}
	return h, nil
}

// prepare creates the worker's directories, empties them, and tries whether limits can be set.
func (h *Hierarchy) prepare(name string) error {
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
		if err := unified.enableForJobs(h.parents[0]); err != nil {
			return err
		}
	}
	if err := h.removeOldGroups(); err != nil {
		return err
	}
	// All jobs together weigh as much as one process for each CPU. With the default weight, they
	// would share as much CPU as a single process outside.
	if err := h.version.setWeight(h.parents, runtime.NumCPU()); err != nil {
		return fmt.Errorf("cgroups are not usable: %w", err)
	}
	trial, err := h.New("trial", Limits{MemoryBytes: 64 << 20, Processes: 16})
	if err != nil {
		return fmt.Errorf("cgroups are not usable: %w", err)
	}
	return trial.Remove(context.Background())
}

// Version returns "cgroup v1" or "cgroup v2".
func (h *Hierarchy) Version() string { return h.version.name() }

// Unremovable returns the groups of a killed worker that cannot be removed, because a process in them does
// not die. No groups with these names can be created.
func (h *Hierarchy) Unremovable() []string { return h.unremovable }

// Close removes the worker's directories. The groups of its jobs must be removed before.
func (h *Hierarchy) Close() error {
	var errs []error
	for _, parent := range h.parents {
		errs = append(errs, os.Remove(parent))
	}
	return errors.Join(errs...)
}

// removeOldGroups kills and removes the groups in the worker's directories. A group that cannot be removed is
// recorded and is not an error: the worker can still limit its jobs.
func (h *Hierarchy) removeOldGroups() error {
	for _, parent := range h.parents {
		entries, err := os.ReadDir(parent)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.IsDir() {
				left := &Group{dirs: []string{filepath.Join(parent, entry.Name())}}
				left.Kill()
				if left.remove(context.Background()) != nil {
					h.unremovable = append(h.unremovable, left.dirs...)
				}
			}
		}
	}
	return nil
}

// Group is the control group of one job. The caller must call Remove. A nil Group stands for a machine on which cgroups
// cannot be used: it has no cgroup.procs files, and nothing to remove.
type Group struct {
	version version
	dirs    []string
	// peakBytes is the memory that Stats last reported as the most; -1 if that is unknown.
	peakBytes int64
	// removals is the Hierarchy's.
	removals *atomic.Int64
}

// New creates an empty group with the limits set.
func (h *Hierarchy) New(name string, limits Limits) (*Group, error) {
	g := &Group{version: h.version, peakBytes: -1, removals: &h.removals}
	for _, parent := range h.parents {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(err, g.remove(context.Background()))
		}
		g.dirs = append(g.dirs, dir)
	}
	if err := h.version.setLimits(g.dirs, limits); err != nil {
		return nil, errors.Join(err, g.remove(context.Background()))
	}
	return g, nil
}

// Limit replaces the limits of the group.
func (g *Group) Limit(limits Limits) error { return g.version.setLimits(g.dirs, limits) }

// OpenProcs opens the cgroup.procs files, to which a process writes "0" to join. The caller closes
// them.
func (g *Group) OpenProcs() ([]*os.File, error) {
	if g == nil {
		return nil, nil
	}
	files := make([]*os.File, 0, len(g.dirs))
	for _, dir := range g.dirs {
		f, err := kernfile.OpenForWriting(filepath.Join(dir, "cgroup.procs"))
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

// Stats reads the counters of the group. Its calls, and that of Remove, must not overlap.
func (g *Group) Stats() (Stats, error) {
	stats, err := g.version.stats(g.dirs)
	g.peakBytes = stats.MemoryPeakBytes
	if err != nil {
		g.peakBytes = -1
	}
	return stats, err
}

// Kill sends SIGKILL to every process in the group.
func (g *Group) Kill() {
	for _, dir := range g.dirs {
		if kernfile.Write(filepath.Join(dir, "cgroup.kill"), "1") == nil {
			continue // version 2, Linux 5.14 and later
		}
		for _, pid := range pids(dir) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

func pids(dir string) []int {
	content, err := kernfile.Read(filepath.Join(dir, "cgroup.procs"))
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

// PIDs returns the processes of the group, dead ones included that are not reaped; none for a nil Group.
func (g *Group) PIDs() []int {
	if g == nil || len(g.dirs) == 0 {
		return nil
	}
	return pids(g.dirs[0])
}
