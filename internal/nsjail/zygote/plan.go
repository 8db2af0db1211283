package zygote

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/jail"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/seccomp"
	"cellblock/internal/nsjail/tinyinit"
)

// Files that are generated for this machine, in the runner's directory.
const (
	initFile   = "init"
	filterFile = "filter.bpf"
)

// plan is what a zygote needs to confine its forks. runner/protocol.md describes the fields.
type plan struct {
	Preload []string `json:"preload"`
	// Exercises are scripts that the zygote runs once, after its own.
	Exercises []string `json:"exercises,omitzero"`

	Init     string            `json:"init"`
	Filter   string            `json:"filter"`
	Syscalls map[string]int    `json:"syscalls"`
	Rlimits  map[int][2]uint64 `json:"rlimits"`
	TmpBytes int64             `json:"tmp_bytes"`
	// SingleUID makes each fork create its own user namespace instead of changing to a UID.
	SingleUID bool `json:"single_uid"`
	// GVisor leaves out what gVisor lacks: cgroup namespaces, and the setting that forbids user namespaces.
	GVisor bool `json:"gvisor"`
}

func newPlan(h *host.Host, kind kind) (string, error) {
	p := plan{
		Preload: kind.packages, Exercises: kind.exercises, Init: "/runner/" + initFile, Filter: "/runner/" + filterFile,
		Syscalls: map[string]int{
			"prlimit64": unix.SYS_PRLIMIT64, "capset": unix.SYS_CAPSET, "seccomp": unix.SYS_SECCOMP,
			"clone": unix.SYS_CLONE,
		},
		Rlimits: forkRlimits(h.Limits, h.Cgroups != nil), TmpBytes: h.Limits.TmpBytes, SingleUID: h.Slot.SingleUID,
		GVisor: h.GVisor,
	}
	text, err := json.Marshal(p, json.Deterministic(true))
	return string(text), err
}

// forkRlimits returns the rlimits of a warm sandbox by the kernel's numbers, soft and hard. They match those of a cold
// one, which come from its command line and from nsjail.cfg.
func forkRlimits(l jobs.Limits, cgroups bool) map[int][2]uint64 {
	limits := map[int][2]uint64{
		unix.RLIMIT_STACK: {8 << 20, 8 << 20}, unix.RLIMIT_MEMLOCK: {64 << 10, 64 << 10},
		unix.RLIMIT_CORE: {}, unix.RLIMIT_MSGQUEUE: {}, unix.RLIMIT_RTPRIO: {}, unix.RLIMIT_NICE: {},
	}
	for resource, value := range sandbox.Rlimits(l, cgroups) {
		limits[resource] = [2]uint64{value, value}
	}
	return limits
}

// writeFiles writes, into the runner's directory, the init and the filter.
func writeFiles(h *host.Host) error {
	arch, options := seccomp.Arch(runtime.GOARCH), jail.FilterOptions(h)
	program, err := tinyinit.Image(string(arch))
	if err != nil {
		return err
	}
	filter, err := seccomp.Filter(arch, options)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(h.RunnerDir(), initFile), program, 0o755),
		os.WriteFile(filepath.Join(h.RunnerDir(), filterFile), filter, 0o644),
	)
}

// writeConfig writes the configuration of zygotes with an interpreter.
func writeConfig(h *host.Host, python host.Interpreter) error {
	arch, options := seccomp.Arch(runtime.GOARCH), jail.FilterOptions(h)
	config, err := jail.MachineConfig(h, python, seccomp.ZygoteKafel(arch, options))
	if err != nil {
		return err
	}
	users, err := writeUsers(h)
	if err != nil {
		return err
	}
	return os.WriteFile(configPath(h, python), []byte(withUsers(config, users)), 0o644)
}

func configPath(h *host.Host, python host.Interpreter) string {
	return filepath.Join(h.Dir, python.FileName("zygote.cfg"))
}
