package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cellblock/internal/environment"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/filelocks"
	"cellblock/internal/owndir"
	"cellblock/runner"
)

// Host holds what sandboxes need of this machine: files, user ids and cgroups. A worker opens one and closes it when it
// ends. Its fields must not be changed.
type Host struct {
	Settings Settings
	Limits   jobs.Limits
	Slot     *Slot
	// GVisor is true inside gVisor (package gvisor).
	GVisor bool
	// Cgroups is nil if cgroups cannot be used; cgroupsError is the reason.
	Cgroups      *cgroup.Hierarchy
	cgroupsError error
	// rejected are cgroups that can be used and do not bite.
	rejected *cgroup.Hierarchy
	// Dir is the worker's own directory, readable by every user id.
	Dir string
	// Locks counts the file locks of jobs; nil if they cannot be counted here, for the reason LocksError.
	Locks      *filelocks.Table
	LocksError error
	// Interpreter is the default environment's.
	Interpreter Interpreter
	// MissingPackages are those of the packages that Open was asked for which are not installed.
	MissingPackages []string
	// Teardowns run after the verdicts of the jobs.
	Teardowns Teardowns
	lastGroup atomic.Uint64
}

// Open prepares this machine for sandboxes, and finds out which of the packages are not installed. The error names
// what is missing if sandboxes cannot be held to their limits. The caller must close the Host.
func Open(ctx context.Context, settings Settings, packages []string) (_ *Host, err error) {
	h := &Host{Settings: settings, Limits: settings.Limits(), GVisor: underGVisor(), Teardowns: newTeardowns()}
	// Group names count from the current time, since a killed worker may have left groups.
	h.lastGroup.Store(uint64(time.Now().UnixMicro()))
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	python, err := queryInterpreter(ctx, settings.Python, packages)
	if err != nil {
		return nil, err
	}
	h.MissingPackages = python.Missing
	mounts, err := python.mounts()
	if err != nil {
		return nil, err
	}
	h.Interpreter = Interpreter{
		Environment: environment.DefaultName, Python: settings.Python, Dir: python.Prefix, Version: python.Version,
		Mounts: mounts,
	}
	runDir := settings.runDir()
	if err := owndir.Make(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("RUN_DIR: %w; choose a folder of this user's own", err)
	}
	if h.Slot, err = newSlot(runDir, settings.UIDBase); err != nil {
		return nil, fmt.Errorf("acquire a slot among this machine's workers: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if os.Geteuid() == 0 {
		// Where even root may not mount, sandboxes do not start, and Explain reports why.
		_ = uncoverProc(runDir)
	}
	h.Cgroups, h.cgroupsError = cgroup.Open(h.Slot.GroupName())
	if h.cgroupsError != nil && settings.RequireCgroups {
		return nil, fmt.Errorf("cgroups are required and cannot be used: %w", h.cgroupsError)
	}
	h.Locks, h.LocksError = filelocks.Open()
	h.Dir = filepath.Join(runDir, "worker-"+strconv.Itoa(h.Slot.Number))
	return h, h.writeFiles(ctx)
}

// CgroupVersion returns the cgroup version in use, or the reason why cgroups cannot be used.
func (h *Host) CgroupVersion() (string, error) {
	if h.Cgroups == nil {
		return "", h.cgroupsError
	}
	return h.Cgroups.Version(), nil
}

// RejectCgroups makes the host enforce the limits by rlimits from now on, as where cgroups cannot be used. No sandbox
// may exist. It returns an error if cgroups are required.
func (h *Host) RejectCgroups(reason error) error {
	if h.Settings.RequireCgroups {
		return fmt.Errorf("cgroups are required and do not bite: %w", reason)
	}
	h.rejected, h.Cgroups, h.cgroupsError = h.Cgroups, nil, reason
	return nil
}

// Close waits for the teardowns that still run and releases what Open acquired. Every sandbox must
// have been run or discarded.
func (h *Host) Close() error {
	h.Teardowns.wait()
	h.Locks.Close()
	var errs []error
	for _, cgroups := range []*cgroup.Hierarchy{h.Cgroups, h.rejected} {
		if cgroups != nil {
			errs = append(errs, cgroups.Close())
		}
	}
	if h.Dir != "" {
		errs = append(errs, os.RemoveAll(h.Dir))
	}
	return errors.Join(append(errs, h.Slot.close())...)
}

func (s Settings) runDir() string {
	switch {
	case s.RunDir != "":
		return s.RunDir
	case os.Geteuid() == 0:
		return "/run/cellblock"
	default:
		return filepath.Join(os.TempDir(), "cellblock-"+strconv.Itoa(os.Geteuid()))
	}
}

// RunnerDir returns the directory of the runner's files.
func (h *Host) RunnerDir() string { return filepath.Join(h.Dir, "runner") }

// NewGroup creates a cgroup whose name begins with prefix and is unique. It returns nil if cgroups are not in use. The
// caller must remove it.
func (h *Host) NewGroup(prefix string, limits cgroup.Limits) (*cgroup.Group, error) {
	if h.Cgroups == nil {
		return nil, nil
	}
	return h.Cgroups.New(prefix+"-"+strconv.FormatUint(h.lastGroup.Add(1), 10), limits)
}

// AcquireJob returns a cgroup and a user id for a sandbox. The group is nil if cgroups are not in use. The caller must
// remove the group and release the user id.
func (h *Host) AcquireJob(limits cgroup.Limits) (group *cgroup.Group, uid int, err error) {
	if uid, err = h.Slot.Acquire(); err != nil {
		return nil, 0, err
	}
	if group, err = h.NewGroup("job", limits); err != nil {
		h.Slot.Release(uid)
	}
	return group, uid, err
}

// writeFiles writes the runner to the directory from which nsjail mounts it, readable by every user id.
func (h *Host) writeFiles(ctx context.Context) error {
	if err := os.RemoveAll(h.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(h.RunnerDir(), 0o755); err != nil {
		return err
	}
	if err := copyFiles(runner.Files, h.RunnerDir()); err != nil {
		return err
	}
	return h.compileRunner(ctx, h.Settings.Python)
}

func copyFiles(from fs.FS, to string) error {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(from, entry.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, entry.Name()), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pythonBound is how long one run of the interpreter may take when the worker starts.
const pythonBound = 30 * time.Second

// compileRunner compiles the runner once for an interpreter. Sandboxes mount its directory read-only and would compile
// it each time.
func (h *Host) compileRunner(ctx context.Context, python string) error {
	ctx, cancel := context.WithTimeout(ctx, pythonBound)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, //nolint:gosec // the operator's interpreter
		"-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", h.RunnerDir()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile the runner: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
