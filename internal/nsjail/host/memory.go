package host

import (
	"bytes"
	"os"
	"strconv"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// AvailableMemory returns how many bytes of memory new processes can have on this machine, or in this container if that
// is less; 0 if it is unknown.
func AvailableMemory() int64 {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	available := meminfoBytes(content, "MemAvailable:")
	if limit, err := memlimit.FromCgroup(); err == nil && limit < 1<<62 {
		available = min(available, int64(limit)-containerMemory())
	}
	return max(available, 0)
}

// AnonymousMemory returns how many bytes of memory a process holds besides what the kernel holds of files for it; 0 if
// there is no such process. Memory that a fork shares counts in full.
func AnonymousMemory(pid int) int64 {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(content) // proc_pid_statm(5): size, resident, shared, in pages
	if len(fields) < 3 {            //nolint:mnd // these three
		return 0
	}
	resident, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	shared, _ := strconv.ParseInt(string(fields[2]), 10, 64)
	return (resident - shared) * int64(os.Getpagesize())
}

// containerMemory returns how many bytes this container uses, of both versions of cgroups, without what the kernel
// holds of files that were not read lately and frees on demand; very many if it cannot be read, as outside of a cgroup
// namespace.
func containerMemory() int64 {
	for _, files := range [][3]string{
		{"/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file"},
		{
			"/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat",
			"total_inactive_file",
		},
	} {
		if content, err := os.ReadFile(files[0]); err == nil {
			used, _ := strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64)
			stat, _ := os.ReadFile(files[1])
			return used - statBytes(stat, files[2])
		}
	}
	return 1 << 62
}

// statBytes returns a value of memory.stat; 0 if it is not there.
func statBytes(content []byte, name string) int64 {
	for line := range bytes.Lines(content) {
		if fields := bytes.Fields(line); len(fields) == 2 && string(fields[0]) == name {
			value, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			return value
		}
	}
	return 0
}

// meminfoBytes returns a value of /proc/meminfo, whose unit is always KiB (proc_meminfo(5)).
func meminfoBytes(content []byte, name string) int64 {
	for line := range bytes.Lines(content) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == name {
			kib, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			return kib << 10
		}
	}
	return 0
}
