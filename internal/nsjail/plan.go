package nsjail

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/seccomp"
	"cellblock/internal/nsjail/tinyinit"
)

// Files generated for this machine, in the runner's directory.
const (
	initFile   = "init"
	filterFile = "filter.bpf"
)

// plan is what a zygote needs to confine its forks. runner/protocol.md describes the fields.
type plan struct {
	Preload  []string             `json:"preload"`
	Init     string               `json:"init"`
	Filter   string               `json:"filter"`
	Syscalls map[string]int       `json:"syscalls"`
	Rlimits  map[string][2]uint64 `json:"rlimits"`
	TmpBytes int64                `json:"tmp_bytes"`
	// SingleUID makes each fork create its own user namespace instead of taking a UID.
	SingleUID bool `json:"single_uid"`
}

func (h *Host) plan(packages []string) (string, error) {
	p := plan{
		Preload: packages, Init: "/runner/" + initFile, Filter: "/runner/" + filterFile,
		Syscalls: map[string]int{
			"prlimit64": unix.SYS_PRLIMIT64, "capset": unix.SYS_CAPSET, "seccomp": unix.SYS_SECCOMP,
			"clone": unix.SYS_CLONE,
		},
		Rlimits: forkRlimits(h.limits, h.cgroups != nil), TmpBytes: h.limits.TmpBytes, SingleUID: h.slot.singleUID,
	}
	text, err := json.Marshal(p, json.Deterministic(true))
	return string(text), err
}

// forkRlimits returns the rlimits of a warm sandbox by the kernel's numbers, soft and hard. They
// match those of a cold one, which come from rlimits and nsjail.cfg.
func forkRlimits(l jobs.Limits, cgroups bool) map[string][2]uint64 {
	limits := map[string][2]uint64{}
	set := func(resource int, value uint64) { limits[strconv.Itoa(resource)] = [2]uint64{value, value} }
	cpu, memory, processes := uint64(seconds(l.CPU)+1), uint64(unix.RLIM_INFINITY), l.Processes+processSlack
	if !cgroups {
		cpu, memory, processes = uint64(seconds(l.CPU)), uint64(l.MemoryBytes), l.Processes
	}
	set(unix.RLIMIT_CPU, cpu)
	set(unix.RLIMIT_AS, memory)
	set(unix.RLIMIT_FSIZE, uint64(writtenBytes(l)))
	set(unix.RLIMIT_NPROC, uint64(processes))
	set(unix.RLIMIT_NOFILE, uint64(l.OpenFiles))
	set(unix.RLIMIT_STACK, 8<<20)
	set(unix.RLIMIT_CORE, 0)
	set(unix.RLIMIT_MEMLOCK, 64<<10)
	set(unix.RLIMIT_MSGQUEUE, 0)
	set(unix.RLIMIT_RTPRIO, 0)
	set(unix.RLIMIT_NICE, 0)
	return limits
}

// writeZygoteFiles writes the init and the filter into the runner's directory.
func (h *Host) writeZygoteFiles(arch seccomp.Arch) error {
	program, err := tinyinit.Image(string(arch))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(h.runnerPath(), initFile), program, 0o755); err != nil {
		return err
	}
	filter, err := seccomp.Filter(arch)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.runnerPath(), filterFile), filter, 0o644)
}

func (h *Host) zygoteLaunch(plan string, cgroups int) zygoteLaunch {
	return zygoteLaunch{
		Nsjail: h.settings.Nsjail, ConfigFile: h.zygotePath(), Python: h.settings.Python,
		FirstID: h.slot.firstUID(), IDs: h.slot.uids(), Plan: plan, Cgroups: cgroups,
	}
}

// zygoteProcesses limits the processes in a zygote's own cgroup: itself, and an init for each fork.
const zygoteProcesses = 4096

// newZygoteGroup creates the cgroup of a zygote; nil if cgroups are not in use.
func (h *Host) newZygoteGroup() (*cgroup.Group, error) {
	if h.cgroups == nil {
		return nil, nil
	}
	name := "zygote-" + strconv.FormatUint(h.groups.Add(1), 10)
	return h.cgroups.New(name, cgroup.Limits{MemoryBytes: h.settings.ZygoteMB << 20, Processes: zygoteProcesses})
}
