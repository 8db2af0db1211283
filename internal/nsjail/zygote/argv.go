package zygote

import (
	"fmt"
	"strconv"

	"cellblock/internal/nsjail/host"
)

// launch holds what differs between the arguments of zygotes' nsjails.
type launch struct {
	Python string
	// FirstUID is the first of UIDs consecutive user and group ids outside.
	FirstUID, UIDs int
	// Plan is the JSON of a plan.
	Plan string
	// Cgroups is the number of cgroup.procs descriptors after the control socket.
	Cgroups int
}

// controlFD is the descriptor of a zygote's control socket.
const controlFD = 3

// argv returns the arguments of a zygote's nsjail: without the limits of a job, and with
// only the capabilities that setting up a sandbox needs.
func argv(l launch) []string {
	// To map root of this namespace in a child namespace takes CAP_SETFCAP (user_namespaces(7)), so
	// a zygote with a single id is not root.
	own := 0
	if l.UIDs == 1 {
		own = host.InsideUID
	}
	ids := fmt.Sprintf("%d:%d:%d", own, l.FirstUID, l.UIDs)
	args := []string{"--user", ids, "--group", ids, "--time_limit", "0"}
	for _, capability := range []string{
		"CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP",
		"CAP_SYS_RESOURCE",
	} {
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
