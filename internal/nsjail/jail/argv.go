package jail

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/watchdog"
)

// Descriptors of the runner (runner/protocol.md). The cgroup.procs files start at firstCgroupFD;
// nsjail's log comes after them.
const (
	channelFD     = 3
	statusFD      = 4
	firstCgroupFD = 5
)

// startBound is how long a cold sandbox may take to become ready, as package watchdog counts time. nsjail counts its
// time limit from its own start, so the longest that this can take is added to that limit.
const startBound = 10 * time.Second

// launch holds what differs between the arguments of cold sandboxes.
type launch struct {
	Python string
	// OutsideUID is the user and group id outside.
	OutsideUID int
	Limits     jobs.Limits
	// Cgroups is the number of cgroup.procs descriptors passed; with 0, only rlimits apply.
	Cgroups int
}

// argv returns the arguments of nsjail. They depend on l only.
func argv(l launch) []string {
	args := []string{
		"--user", idMap(l.OutsideUID), "--group", idMap(l.OutsideUID),
		"--time_limit", strconv.Itoa(seconds(l.Limits.Wall + watchdog.Longest(startBound))),
		"--log_fd", strconv.Itoa(firstCgroupFD + l.Cgroups),
	}
	args = append(args, rlimits(l)...)
	for fd := channelFD; fd < firstCgroupFD+l.Cgroups; fd++ {
		args = append(args, "--pass_fd", strconv.Itoa(fd))
	}
	args = append(args, "--", l.Python, "-I", "-B", "/runner/main.py",
		"--channel-fd", strconv.Itoa(channelFD), "--status-fd", strconv.Itoa(statusFD))
	for i := range l.Cgroups {
		args = append(args, "--cgroup-fd", strconv.Itoa(firstCgroupFD+i))
	}
	return args
}

// rlimits returns the limits that the kernel applies to each process (to each user, for the number of processes and
// threads).
func rlimits(l launch) []string {
	values := sandbox.Rlimits(l.Limits, l.Cgroups > 0)
	memory := "inf"
	if bytes := values[unix.RLIMIT_AS]; bytes != unix.RLIM_INFINITY {
		memory = mebibytes(int64(bytes))
	}
	return []string{
		"--rlimit_cpu", strconv.FormatUint(values[unix.RLIMIT_CPU], 10),
		"--rlimit_as", memory,
		"--rlimit_fsize", mebibytes(int64(values[unix.RLIMIT_FSIZE])),
		"--rlimit_nproc", strconv.FormatUint(values[unix.RLIMIT_NPROC]+overheadProcesses, 10),
		"--rlimit_nofile", strconv.FormatUint(values[unix.RLIMIT_NOFILE], 10),
	}
}

// overheadProcesses is the number of processes in a cold sandbox that are not the script's.
const overheadProcesses = 1

func idMap(outside int) string { return fmt.Sprintf("%d:%d:1", host.InsideUID, outside) }

// seconds rounds up to whole seconds, the unit of nsjail.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// mebibytes rounds up to whole MiB, the unit of nsjail.
func mebibytes(bytes int64) string {
	const mib = 1 << 20
	return strconv.FormatInt((bytes+mib-1)/mib, 10)
}
