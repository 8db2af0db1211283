package nsjail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cellblock"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/cgroup"
	"cellblock/internal/nsjail/seccomp"
	"cellblock/internal/owndir"
	"cellblock/runner"
)

// Host holds what sandboxes need of this machine: files, user ids and cgroups. A worker opens one
// and closes it when it ends.
type Host struct {
	settings Settings
	limits   jobs.Limits
	slot     *hostSlot
	// cgroups is nil if cgroups cannot be used; cgroupsError is the reason.
	cgroups      *cgroup.Hierarchy
	cgroupsError error
	// dir contains the runner's files and the rendered configuration.
	dir    string
	mounts []string
	// missingPackages has a sentence for each package that should be preloaded and is not installed.
	missingPackages []string
	groups          atomic.Uint64
	// teardowns run after the verdicts of the jobs.
	teardowns teardowns
}

// Open prepares this machine for sandboxes. The error names what is missing if sandboxes cannot be
// held to their limits. The caller must close the Host.
func Open(ctx context.Context, settings Settings) (_ *Host, err error) {
	h := &Host{settings: settings, limits: settings.Limits(), teardowns: newTeardowns()}
	// Group names count from the current time, since a killed worker may have left groups.
	h.groups.Store(uint64(time.Now().UnixMicro()))
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	python, err := queryInterpreter(ctx, settings.Python, slices.Concat(settings.packages(), settings.onDemand()))
	if err != nil {
		return nil, err
	}
	if h.mounts, err = python.mounts(); err != nil {
		return nil, err
	}
	h.settings, h.missingPackages = settings.withoutMissing(python.Missing)
	runDir := settings.runDir()
	if err := owndir.Make(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("RUN_DIR: %w; choose a folder of this user's own", err)
	}
	if h.slot, err = newHostSlot(runDir, settings.UIDBase); err != nil {
		return nil, fmt.Errorf("acquire a slot among this machine's workers: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if os.Geteuid() == 0 {
		// Where even root may not mount, sandboxes do not start, and missingRights reports why.
		_ = uncoverProc(runDir)
	}
	h.cgroups, h.cgroupsError = cgroup.Open(h.slot.groupName())
	if h.cgroupsError != nil && settings.RequireCgroups {
		return nil, fmt.Errorf("cgroups are required and cannot be used: %w", h.cgroupsError)
	}
	h.dir = filepath.Join(runDir, "worker-"+strconv.Itoa(h.slot.number))
	return h, h.writeFiles(ctx)
}

// CgroupVersion returns the cgroup version in use, or the reason why cgroups cannot be used.
func (h *Host) CgroupVersion() (string, error) {
	if h.cgroups == nil {
		return "", h.cgroupsError
	}
	return h.cgroups.Version(), nil
}

// Close waits for the teardowns that still run and releases what Open acquired. Every sandbox must
// have been run or discarded.
func (h *Host) Close() error {
	h.teardowns.wait()
	var errs []error
	if h.cgroups != nil {
		errs = append(errs, h.cgroups.Close())
	}
	if h.dir != "" {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(append(errs, h.slot.close())...)
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

func (h *Host) configPath() string { return filepath.Join(h.dir, "nsjail.cfg") }
func (h *Host) zygotePath() string { return filepath.Join(h.dir, "zygote.cfg") }
func (h *Host) runnerPath() string { return filepath.Join(h.dir, "runner") }

func (h *Host) launch(id, cgroups int) launch {
	return launch{
		Nsjail: h.settings.Nsjail, ConfigFile: h.configPath(), Python: h.settings.Python,
		OutsideID: id, Limits: h.limits, Cgroups: cgroups,
	}
}

// newGroup creates the cgroup of a job, for overheadProcesses more than the job's own. It
// returns nil if cgroups are not in use.
func (h *Host) newGroup(overheadProcesses int) (*cgroup.Group, error) {
	if h.cgroups == nil {
		return nil, nil
	}
	name := "job-" + strconv.FormatUint(h.groups.Add(1), 10)
	return h.cgroups.New(name, cgroup.Limits{
		MemoryBytes: h.limits.MemoryBytes, Processes: h.limits.Processes + overheadProcesses,
	})
}

func removeGroup(g *cgroup.Group) error {
	if g == nil {
		return nil
	}
	return g.Remove(context.Background())
}

// writeFiles writes the configuration and the runner to the directory from which nsjail mounts
// them, readable by every user id.
func (h *Host) writeFiles(ctx context.Context) error {
	if err := os.RemoveAll(h.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(h.runnerPath(), 0o755); err != nil {
		return err
	}
	config := cellblock.NsjailConfig
	if h.settings.ConfigFile != "" {
		content, err := os.ReadFile(h.settings.ConfigFile)
		if err != nil {
			return err
		}
		config = string(content)
	}
	users, err := h.writeUsers()
	if err != nil {
		return err
	}
	arch := seccomp.Arch(runtime.GOARCH)
	for path, policy := range map[string]string{
		h.configPath(): seccomp.Kafel(arch), h.zygotePath(): seccomp.ZygoteKafel(arch),
	} {
		rendered, err := render(config, policy, h.limits)
		if err != nil {
			return err
		}
		rendered += readOnly(slices.Concat(h.mounts, []string{h.runnerPath() + ":/runner"})...)
		rendered += h.environment()
		if path == h.zygotePath() {
			rendered = withUsers(rendered, users)
		}
		if err := os.WriteFile(path, []byte(rendered), 0o644); err != nil {
			return err
		}
	}
	if err := copyFiles(runner.Files, h.runnerPath()); err != nil {
		return err
	}
	if err := h.writeZygoteFiles(arch); err != nil {
		return err
	}
	return h.compileRunner(ctx)
}

// environment returns the environment in which scripts find the sandbox's Python before the
// machine's, as python and python3, and the locales installed with it. Of a variable that is set
// twice, nsjail takes the last.
func (h *Host) environment() string {
	programs := filepath.Dir(h.settings.Python)
	entries := fmt.Sprintf("envar: %q\n", "PATH="+programs+":/usr/bin:/bin")
	locales := filepath.Join(filepath.Dir(programs), "share/cellblock/locale")
	if _, err := os.Stat(locales); err == nil {
		entries += fmt.Sprintf("envar: %q\n", "LOCPATH="+locales)
	}
	return entries
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

// compileRunner compiles the runner once. Sandboxes mount its directory read-only and would compile
// it each time.
func (h *Host) compileRunner(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pythonBound)
	defer cancel()
	out, err := exec.CommandContext(ctx, h.settings.Python, "-I", "-m", "compileall", "-q", //nolint:gosec // the operator's interpreter
		"--invalidation-mode", "unchecked-hash", h.runnerPath()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile the runner: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
