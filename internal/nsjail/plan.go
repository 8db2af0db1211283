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

// Files beside the runner's, made for this machine, as sandboxes see them.
const (
	initFile   = "init"
	filterFile = "filter.bpf"
)

// plan is what a zygote is told: how each fork is to be confined. Its fields
// are in runner/protocol.md.
type plan struct {
	Preload  []string             `json:"preload"`
	Init     string               `json:"init"`
	Filter   string               `json:"filter"`
	Syscalls map[string]int       `json:"syscalls"`
	Rlimits  map[string][2]uint64 `json:"rlimits"`
	TmpBytes int64                `json:"tmp_bytes"`
	// SingleUID asks for a user namespace for each fork instead of a UID.
	SingleUID bool `json:"single_uid"`
}

func (h *Host) plan(packages []string) (string, error) {
	p := plan{
		Preload: packages, Init: "/runner/" + initFile, Filter: "/runner/" + filterFile,
		Syscalls: map[string]int{
			"prlimit64": unix.SYS_PRLIMIT64, "capset": unix.SYS_CAPSET, "seccomp": unix.SYS_SECCOMP,
			"clone": unix.SYS_CLONE,
		},
		Rlimits: forkRlimits(h.limits, h.cgroups != nil), TmpBytes: h.limits.TmpBytes, SingleUID: h.claim.single,
	}
	text, err := json.Marshal(p, json.Deterministic(true))
	return string(text), err
}

// forkRlimits are a warm sandbox's limits by the kernel's numbers, soft and hard.
// They are those that rlimits and nsjail.cfg give a cold one.
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

// writeZygoteFiles puts the init and the filter beside the runner.
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
		FirstID: h.claim.firstID(), IDs: h.claim.ids(), Plan: plan, Cgroups: cgroups,
	}
}

// zygoteProcesses bounds a zygote's own group: itself, and an init for each fork.
const zygoteProcesses = 4096

// newZygoteGroup makes a zygote's cgroup; nil where there are none.
func (h *Host) newZygoteGroup() (*cgroup.Group, error) {
	if h.cgroups == nil {
		return nil, nil
	}
	name := "zygote-" + strconv.FormatUint(h.groups.Add(1), 10)
	return h.cgroups.New(name, cgroup.Limits{MemoryBytes: h.settings.ZygoteMB << 20, Processes: zygoteProcesses})
}
