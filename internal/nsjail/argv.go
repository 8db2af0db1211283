package nsjail

import (
	"fmt"
	"strconv"
	"time"

	"cellblock/internal/jobs"
)

// Descriptors of the runner (runner/protocol.md). The cgroup.procs files start at firstCgroupFD;
// nsjail's log comes after them.
const (
	channelFD     = 3
	statusFD      = 4
	firstCgroupFD = 5
)

// insideUID is the user and group id of a script, as seen inside a cold sandbox, or a warm one that
// has a single user id to map.
const insideUID = 1000

// coldStart is how long a cold sandbox may take to become ready. nsjail counts its time limit from
// its own start, so coldStart is added to that limit.
const coldStart = 10 * time.Second

// launch holds what differs between the command lines of cold sandboxes.
type launch struct {
	Nsjail     string
	ConfigFile string
	Python     string
	// OutsideID is the user and group id outside.
	OutsideID int
	Limits    jobs.Limits
	// Cgroups is the number of cgroup.procs descriptors passed; with 0, only rlimits apply.
	Cgroups int
}

// argv returns the command line of nsjail. It depends on l only.
func argv(l launch) []string {
	args := []string{
		l.Nsjail, "--config", l.ConfigFile,
		"--user", idMap(l.OutsideID), "--group", idMap(l.OutsideID),
		"--time_limit", strconv.Itoa(seconds(l.Limits.Wall + coldStart)),
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

// zygoteLaunch holds what differs between the command lines of zygotes.
type zygoteLaunch struct {
	Nsjail, ConfigFile, Python string
	// FirstID is the first of IDs consecutive user and group ids outside.
	FirstID, IDs int
	// Plan is the JSON of a plan.
	Plan string
	// Cgroups is the number of cgroup.procs descriptors after the control socket.
	Cgroups int
}

// controlFD is the descriptor of a zygote's control socket.
const controlFD = 3

// zygoteArgv returns the command line of a zygote's nsjail: without the limits of a job, and with
// only the capabilities that setting up a sandbox needs.
func zygoteArgv(l zygoteLaunch) []string {
	// To map root of this namespace in a child namespace takes CAP_SETFCAP (user_namespaces(7)), so
	// a zygote with a single id is not root.
	own := 0
	if l.IDs == 1 {
		own = insideUID
	}
	ids := fmt.Sprintf("%d:%d:%d", own, l.FirstID, l.IDs)
	args := []string{l.Nsjail, "--config", l.ConfigFile, "--user", ids, "--group", ids, "--time_limit", "0"}
	for _, capability := range []string{"CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_RESOURCE"} {
		args = append(args, "--cap", capability)
	}
	for _, limit := range []string{"as", "cpu", "fsize", "nproc", "memlock"} {
		args = append(args, "--rlimit_"+limit, "hard")
	}
	args = append(args, "--rlimit_nofile", "4096")
	for fd := controlFD; fd <= controlFD+l.Cgroups; fd++ {
		args = append(args, "--pass_fd", strconv.Itoa(fd))
	}
	args = append(args, "--", l.Python, "-I", "-B", "/runner/main.py", "zygote", strconv.Itoa(controlFD), l.Plan)
	for i := range l.Cgroups {
		args = append(args, strconv.Itoa(controlFD+1+i))
	}
	return args
}

// rlimits returns the limits that the kernel applies to each process (to each user, for the number
// of processes and threads).
func rlimits(l launch) []string {
	cpu, memory, processes := seconds(l.Limits.CPU)+1, "inf", l.Limits.Processes+processSlack
	if l.Cgroups == 0 {
		cpu, memory, processes = seconds(l.Limits.CPU), mebibytes(l.Limits.MemoryBytes), l.Limits.Processes
	}
	return []string{
		"--rlimit_cpu", strconv.Itoa(cpu),
		"--rlimit_as", memory,
		"--rlimit_fsize", mebibytes(writtenBytes(l.Limits)),
		"--rlimit_nproc", strconv.Itoa(processes + coldOverhead),
		"--rlimit_nofile", strconv.Itoa(l.Limits.OpenFiles),
	}
}

// coldOverhead is the number of processes in a cold sandbox that are not the script's.
const coldOverhead = 1

// processSlack is how far the rlimit on processes lies above the limit of the cgroup. The cgroup
// must refuse first: it counts refusals, which are the evidence for the verdict.
const processSlack = 8

func idMap(outside int) string { return fmt.Sprintf("%d:%d:1", insideUID, outside) }

// seconds rounds up to whole seconds, the unit of nsjail.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// mebibytes rounds up to whole MiB, the unit of nsjail.
func mebibytes(bytes int64) string {
	const mib = 1 << 20
	return strconv.FormatInt((bytes+mib-1)/mib, 10)
}
