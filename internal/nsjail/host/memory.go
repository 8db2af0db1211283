package host

import (
	"bytes"
	"os"
	"strconv"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// AvailableMemory returns how many bytes of memory new processes can have on this machine, or in this container if its
// limit is lower; 0 if that is unknown. It does not subtract what the container uses already.
func AvailableMemory() int64 {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	available := meminfoBytes(content, "MemAvailable:")
	if limit, err := memlimit.FromCgroup(); err == nil && limit < 1<<62 {
		available = min(available, int64(limit))
	}
	return available
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
