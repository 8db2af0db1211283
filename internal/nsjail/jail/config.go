package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cellblock"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/seccomp"
)

// FilterOptions returns what the settings and the kernel change in the list of system calls.
func FilterOptions(h *host.Host) seccomp.Options {
	return seccomp.Options{Epoll: h.Settings.Epoll, GVisor: h.GVisor}
}

// MachineConfig returns the nsjail configuration of this machine for an interpreter, with a Kafel policy: NSJAIL_CONFIG
// or the nsjail.cfg built in, and the mounts and variables of the interpreter and the runner.
func MachineConfig(h *host.Host, python host.Interpreter, policy string) (string, error) {
	config := cellblock.NsjailConfig
	if h.Settings.ConfigFile != "" {
		content, err := os.ReadFile(h.Settings.ConfigFile)
		if err != nil {
			return "", err
		}
		config = string(content)
	}
	config, err := render(config, policy, h.Limits)
	if err != nil {
		return "", err
	}
	mounts := append(slices.Clone(python.Mounts), h.RunnerDir()+":/runner")
	return config + ReadOnlyMounts(mounts...) + variables(python), nil
}

// render returns the configuration with a system call policy, and with the size of /tmp, which no option of nsjail
// sets.
func render(config, policy string, limits jobs.Limits) (string, error) {
	config, err := WithPolicy(config, policy)
	if err != nil {
		return "", err
	}
	standard := tmpfsSize(jobs.DefaultLimits().TmpBytes)
	if !strings.Contains(config, standard) {
		return "", fmt.Errorf("the nsjail configuration has no mount with %q for /tmp", standard)
	}
	return strings.ReplaceAll(config, standard, tmpfsSize(limits.TmpBytes)), nil
}

func tmpfsSize(bytes int64) string { return fmt.Sprintf("size=%d,", bytes) }

// ReadOnlyMounts returns the configuration of further read-only mounts, each "path" or "path:path inside". Unlike
// nsjail's option for them, it disables setuid bits and devices.
func ReadOnlyMounts(mounts ...string) string {
	var entries strings.Builder
	for _, mount := range mounts {
		from, to, different := strings.Cut(mount, ":")
		if !different {
			to = from
		}
		fmt.Fprintf(&entries, "mount { src: %q dst: %q is_bind: true nosuid: true nodev: true }\n", from, to)
	}
	return entries.String()
}

// variables returns the environment variables by which scripts find the sandbox's Python before the machine's, as
// python and python3, and the locales installed with it. Of a variable that is set twice, nsjail takes the last.
func variables(python host.Interpreter) string {
	entries := fmt.Sprintf("envar: %q\n", "PATH="+filepath.Dir(python.Python)+":/usr/bin:/bin")
	if locales := python.Locales(); locales != "" {
		entries += fmt.Sprintf("envar: %q\n", "LOCPATH="+locales)
	}
	return entries
}
