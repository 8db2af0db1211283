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

// Host is this machine as sandboxes need it: files, user ids, and cgroups. One
// worker opens one and closes it at its end.
type Host struct {
	settings Settings
	limits   jobs.Limits
	claim    *claim
	// cgroups is nil where they cannot be used; cgroupsError says why.
	cgroups      *cgroup.Hierarchy
	cgroupsError error
	// dir holds the runner's files and the rendered configuration.
	dir    string
	mounts []string
	// missing has a sentence for each package that is to be loaded and cannot be.
	missing []string
	groups  atomic.Uint64
	// teardowns are of sandboxes whose job has its verdict.
	teardowns teardowns
}

// Open prepares this machine. It fails where sandboxes could not be held to
// their limits, with a sentence that says what is missing.
func Open(ctx context.Context, settings Settings) (_ *Host, err error) {
	h := &Host{settings: settings, limits: settings.Limits(), teardowns: newTeardowns()}
	// A killed worker may have left groups: names count from the time on.
	h.groups.Store(uint64(time.Now().UnixMicro()))
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	python, err := ask(ctx, settings.Python, slices.Concat(settings.packages(), settings.onDemand()))
	if err != nil {
		return nil, err
	}
	if h.mounts, err = python.mounts(); err != nil {
		return nil, err
	}
	h.settings, h.missing = settings.withoutMissing(python.Missing)
	runDir := settings.runDir()
	if err := owndir.Make(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("RUN_DIR: %w; choose a folder of this user's own", err)
	}
	if h.claim, err = newClaim(runDir, settings.UIDBase); err != nil {
		return nil, fmt.Errorf("claim a place among this machine's workers: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if os.Geteuid() == 0 {
		// Where even root may not, sandboxes do not start, and missing says why.
		_ = uncoverProc(runDir)
	}
	h.cgroups, h.cgroupsError = cgroup.Open(h.claim.groupName())
	if h.cgroupsError != nil && settings.RequireCgroups {
		return nil, fmt.Errorf("cgroups are required and cannot be used: %w", h.cgroupsError)
	}
	h.dir = filepath.Join(runDir, "worker-"+strconv.Itoa(h.claim.number))
	return h, h.writeFiles(ctx)
}

// CgroupVersion names the cgroups in use, or gives the reason why there are none.
func (h *Host) CgroupVersion() (string, error) {
	if h.cgroups == nil {
		return "", h.cgroupsError
	}
	return h.cgroups.Version(), nil
}

// Close gives back what Open took. Every sandbox must be gone.
func (h *Host) Close() error {
	h.teardowns.wait()
	var errs []error
	if h.cgroups != nil {
		errs = append(errs, h.cgroups.Close())
	}
	if h.dir != "" {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(append(errs, h.claim.close())...)
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

// newGroup makes a job's cgroup, with room for as many processes beside the
// job's own; nil where there are none.
func (h *Host) newGroup(beside int) (*cgroup.Group, error) {
	if h.cgroups == nil {
		return nil, nil
	}
	name := "job-" + strconv.FormatUint(h.groups.Add(1), 10)
	return h.cgroups.New(name, cgroup.Limits{
		MemoryBytes: h.limits.MemoryBytes, Processes: h.limits.Processes + beside,
	})
}

func removeGroup(g *cgroup.Group) error {
	if g == nil {
		return nil
	}
	return g.Remove(context.Background())
}

// writeFiles puts the configuration and the runner where nsjail can mount them
// from, readable by every user id.
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
		rendered += h.ownPlaces()
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

// ownPlaces has scripts find the sandbox's Python as python and python3, before
// the machine's, and the locales that were made beside it. Of a variable that
// stands twice nsjail takes the last one.
func (h *Host) ownPlaces() string {
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

// pythonBound is how long a call of the interpreter may take at start-up.
const pythonBound = 30 * time.Second

// compileRunner saves every sandbox from compiling the runner anew; inside, the
// folder is read-only and nothing could be written.
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
