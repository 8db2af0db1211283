package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cellblock/internal/nsjail/kernfile"
)

// v1 holds the index of each controller's directory among those of a group; controllers mounted
// together share one. Files: Documentation/admin-guide/cgroup-v1 of the kernel.
type v1 struct{ memory, pids, cpuacct, cpu int }

func (v1) name() string { return "cgroup v1" }

func (v v1) setLimits(dirs []string, l Limits) error {
	memory := dirs[v.memory]
	if err := write(memory, "memory.limit_in_bytes", l.MemoryBytes); err != nil {
		return err
	}
	// The file is absent if swap is not accounted; then there is no swap limit to set.
	err := write(memory, "memory.memsw.limit_in_bytes", l.MemoryBytes)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return write(dirs[v.pids], "pids.max", int64(l.Processes))
}

func (v v1) setWeight(dirs []string, processes int) error {
	return write(dirs[v.cpu], "cpu.shares", min(int64(processes)*1024, 262144))
}

func (v v1) stats(dirs []string) (Stats, error) {
	cpu, err := v.cpuTime(dirs)
	if err != nil {
		return Stats{}, err
	}
	peak, err := readInt(dirs[v.memory], "memory.max_usage_in_bytes")
	if err != nil {
		return Stats{}, err
	}
	// memory.failcnt stays 0 on kills when memory and swap have the same limit.
	kills, err := readField(dirs[v.memory], "memory.oom_control", "oom_kill")
	if err != nil {
		return Stats{}, err
	}
	refusals, err := readField(dirs[v.pids], "pids.events", "max")
	if err != nil {
		return Stats{}, err
	}
	return Stats{CPU: cpu, MemoryPeakBytes: peak, OOMKills: int(kills), Refusals: int(refusals)}, nil
}

func (v v1) cpuTime(dirs []string) (time.Duration, error) {
	ns, err := readInt(dirs[v.cpuacct], "cpuacct.usage")
	return time.Duration(ns), err
}

func (v v1) left(dirs []string) (kernelBytes int64, dying int, err error) {
	if kernelBytes, err = readInt(dirs[v.memory], "memory.kmem.usage_in_bytes"); err != nil {
		return 0, 0, err
	}
	dying, err = memoryGroups()
	return kernelBytes, dying, err
}

// memoryGroups returns the number of memory cgroups on this machine, the removed ones that the kernel keeps included:
// version 1 does not count those apart. Others are few.
func memoryGroups() (int, error) {
	content, err := kernfile.Read("/proc/cgroups")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "memory" {
			return strconv.Atoi(fields[2])
		}
	}
	return 0, errors.New("/proc/cgroups does not name the memory controller")
}

func (v v1) reclaim(dirs []string) error { return write(dirs[v.memory], "memory.force_empty", 0) }

func write(dir, file string, value int64) error {
	return kernfile.Write(filepath.Join(dir, file), strconv.FormatInt(value, 10))
}
