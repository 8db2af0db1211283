package nsjail

import (
	"fmt"
	"strconv"
	"time"

	"cellblock/internal/jobs"
)

// Descriptors of the process inside, by the runner's protocol. The cgroup.procs
// files follow from firstCgroupFD, and nsjail's own log comes after them.
const (
	channelFD     = 3
	statusFD      = 4
	firstCgroupFD = 5
)

// insideID is the user and group that a script sees itself as.
const insideID = 1000

// coldStart is how long a cold sandbox may take until it is ready. nsjail's
// clock runs from its start, so its own time limit has this much on top.
const coldStart = 10 * time.Second

// launch is all that differs between one sandbox's command line and another's.
type launch struct {
	Nsjail     string
	ConfigFile string
	Python     string
	// OutsideID is the user and group id outside.
	OutsideID int
	Limits    jobs.Limits
	// Cgroups is how many cgroup.procs descriptors are passed; 0 means that
	// rlimits must hold the line alone.
	Cgroups int
}

// argv gives nsjail's whole command line. It depends on nothing but l.
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

// zygoteLaunch is all that differs between one zygote's command line and another's.
type zygoteLaunch struct {
	Nsjail, ConfigFile, Python string
	// FirstID is the first of the user ids outside, and IDs how many there are.
	FirstID, IDs int
	// Plan is what the zygote is told, as JSON.
	Plan string
	// Cgroups is how many cgroup.procs descriptors follow the control socket.
	Cgroups int
}

// controlFD is a zygote's control socket.
const controlFD = 3

// zygoteArgv gives the command line of a zygote's nsjail: no limits of a job's,
// and of the capabilities exactly those that making a sandbox needs.
func zygoteArgv(l zygoteLaunch) []string {
	// A namespace below that maps root of this one would need CAP_SETFCAP in it
	// (user_namespaces(7)), so a zygote with one id only is not root.
	own := 0
	if l.IDs == 1 {
		own = insideID
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

// rlimits are the limits that the kernel keeps for each process (processes and
// threads: for each user).
func rlimits(l launch) []string {
	cpu, memory, processes := seconds(l.Limits.CPU)+1, "inf", l.Limits.Processes+processSlack
	if l.Cgroups == 0 {
		cpu, memory, processes = seconds(l.Limits.CPU), mebibytes(l.Limits.MemoryBytes), l.Limits.Processes
	}
	return []string{
		"--rlimit_cpu", strconv.Itoa(cpu),
		"--rlimit_as", memory,
		"--rlimit_fsize", mebibytes(writtenBytes(l.Limits)),
		"--rlimit_nproc", strconv.Itoa(processes + supervisors),
		"--rlimit_nofile", strconv.Itoa(l.Limits.OpenFiles),
	}
}

// supervisors counts the processes of a sandbox that are not the script's.
const supervisors = 1

// processSlack is how far the rlimit lies above the group's limit, which counts
// what it refuses: that count is the evidence for the verdict.
const processSlack = 8

func idMap(outside int) string { return fmt.Sprintf("%d:%d:1", insideID, outside) }

// seconds rounds up: nsjail counts in whole ones.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// mebibytes rounds up.
func mebibytes(bytes int64) string {
	const mib = 1 << 20
	return strconv.FormatInt((bytes+mib-1)/mib, 10)
}
