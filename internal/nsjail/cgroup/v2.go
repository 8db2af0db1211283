package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// v2 is the unified hierarchy: a group is one directory. Files:
// Documentation/admin-guide/cgroup-v2.rst of the kernel.
type v2 struct{}

func (v2) name() string { return "cgroup v2" }

// leaf is the group of the worker's own processes: a group that delegates controllers may contain
// no processes.
const leaf = "cellblock-worker"

// delegate lets the worker's group have children with limits: it moves the processes into a leaf
// group and enables the controllers.
func (v2) delegate(own string) error {
	if err := enableControllers(own); err == nil {
		return nil // the root group, or delegated before
	}
	dir := filepath.Join(own, leaf)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cgroups are not writable: %w", err)
	}
	for _, pid := range pids(own) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		if err != nil && pid == os.Getpid() {
			return fmt.Errorf("move into a leaf cgroup: %w", err)
		}
	}
	if err := enableControllers(own); err != nil {
		return fmt.Errorf("enable the cgroup controllers: %w", err)
	}
	return nil
}

// enableForJobs enables the controllers for the groups of the jobs.
func (v2) enableForJobs(parent string) error { return enableControllers(parent) }

func enableControllers(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory +pids +cpu"), 0)
}

func (v2) setLimits(dirs []string, l Limits) error {
	dir := dirs[0]
	if err := write(dir, "memory.max", l.MemoryBytes); err != nil {
		return err
	}
	// The file is absent if the kernel has no swap.
	if err := write(dir, "memory.swap.max", 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := write(dir, "memory.oom.group", 1); err != nil {
		return err
	}
	return write(dir, "pids.max", int64(l.Processes))
}

func (v2) setWeight(dirs []string, processes int) error {
	return write(dirs[0], "cpu.weight", min(int64(processes)*100, 10000))
}

func (v v2) stats(dirs []string) (Stats, error) {
	cpu, err := v.cpuTime(dirs)
	if err != nil {
		return Stats{}, err
	}
	peak, err := readInt(dirs[0], "memory.peak")
	if errors.Is(err, os.ErrNotExist) {
		peak, err = -1, nil
	}
	if err != nil {
		return Stats{}, err
	}
	kills, err := readField(dirs[0], "memory.events", "oom_kill")
	if err != nil {
		return Stats{}, err
	}
	refusals, err := readField(dirs[0], "pids.events", "max")
	if err != nil {
		return Stats{}, err
	}
	return Stats{CPU: cpu, MemoryPeakBytes: peak, OOMKills: int(kills), Refusals: int(refusals)}, nil
}

func (v2) left(dirs []string) (kernelBytes int64, dying int, err error) {
	removed, err := readField(filepath.Dir(dirs[0]), "cgroup.stat", "nr_dying_descendants")
	if err != nil {
		return 0, 0, err
	}
	// The kernel sums memory.stat up when it is read, which takes longer than the other files do.
	current, err := readInt(dirs[0], "memory.current")
	if err == nil && current > maxKernelBytesLeft {
		kernelBytes, err = readField(dirs[0], "memory.stat", "slab_reclaimable")
	}
	return kernelBytes, int(removed), err
}

// reclaim needs Linux 5.19 or later.
func (v2) reclaim(dirs []string) error {
	current, err := readInt(dirs[0], "memory.current")
	if err != nil {
		return err
	}
	return write(dirs[0], "memory.reclaim", current)
}

func (v2) cpuTime(dirs []string) (time.Duration, error) {
	us, err := readField(dirs[0], "cpu.stat", "usage_usec")
	return time.Duration(us) * time.Microsecond, err
}
