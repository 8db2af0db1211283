package nsjail

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cellblock"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/seccomp"
)

// Readers look for the limits in nsjail.cfg, so its numbers must be the real ones.
func TestConfigShowsTheDefaultLimits(t *testing.T) {
	l := jobs.DefaultLimits()
	for _, line := range []string{
		fmt.Sprintf("rlimit_cpu: %d", seconds(l.CPU)+1),
		"rlimit_fsize: " + mebibytes(l.FileBytes),
		fmt.Sprintf("rlimit_nproc: %d", l.Processes+processSlack+coldOverhead),
		fmt.Sprintf("rlimit_nofile: %d", l.OpenFiles),
		fmt.Sprintf(`mount { dst: "/tmp" fstype: "tmpfs" rw: true options: "%snr_inodes=16384,mode=1777" nosuid: true nodev: true }`, tmpfsSize(l.TmpBytes)),
	} {
		if !strings.Contains(cellblock.NsjailConfig, "\n"+line+"\n") {
			t.Errorf("nsjail.cfg has no line %q", line)
		}
	}
	wantProse(t, "nsjail.cfg", cellblock.NsjailConfig, "(15 s)", "(10 s)", "700 MiB", "1,024 KiB", "64 processes and threads", "1 MiB each, the result 4 MiB")
}

// TestDocumentsShowTheDefaultLimits checks the README's table against the real limits, and that all
// documents use one unit: 700 MB and 734,003,200 bytes differ.
func TestDocumentsShowTheDefaultLimits(t *testing.T) {
	t.Parallel()
	var readme, api string
	for _, path := range []string{
		"README.md", "nsjail.cfg", "docs/api.md", "docs/configuration.md", "docs/operations.md", "docs/python.md", "docs/verdicts.md",
		"runner/protocol.md",
	} {
		text := readDocument(t, path)
		switch path {
		case "README.md":
			readme = text
		case "docs/api.md":
			api = text
		}
		if wrong := regexp.MustCompile(`(?m)^.*\d [MK]B\b.*$`).FindAllString(text, -1); len(wrong) > 0 {
			t.Errorf("%s has limits in MB or KB; they are MiB and KiB:\n%s", path, strings.Join(wrong, "\n"))
		}
	}
	l := jobs.DefaultLimits()
	wantProse(t, "docs/api.md", api, fmt.Sprintf("the script has more than %s bytes |", thousands(jobs.MaxScriptBytes)))
	wantProse(t, "README.md", readme,
		fmt.Sprintf("| script | %s bytes of UTF-8 |", thousands(jobs.MaxScriptBytes)),
		fmt.Sprintf("| wall time | %.0f s |", l.Wall.Seconds()),
		fmt.Sprintf("| CPU time, all processes together | %.0f s |", l.CPU.Seconds()),
		fmt.Sprintf("| memory, all processes and `/tmp` together | %d MiB (%s bytes) |", l.MemoryBytes>>20, thousands(l.MemoryBytes)),
		fmt.Sprintf("| size of each file written | %s KiB |", thousands(l.FileBytes>>10)),
		fmt.Sprintf("| processes and threads | %d |", l.Processes),
		fmt.Sprintf("| open files of a process | %d |", l.OpenFiles),
		fmt.Sprintf("| `/tmp` | %d MiB, in memory |", l.TmpBytes>>20),
		fmt.Sprintf("| stdout, and stderr | %d MiB each |", l.OutputBytes>>20),
		fmt.Sprintf("| result | %d MiB of JSON |", l.ResultBytes>>20),
		fmt.Sprintf("| files in `outputs/` | %d, together %d MiB |", l.OutputFiles, l.OutputFilesBytes>>20),
	)
}

func wantProse(t *testing.T, name, text string, all ...string) {
	t.Helper()
	for _, prose := range all {
		if !strings.Contains(text, prose) {
			t.Errorf("%s does not have %q", name, prose)
		}
	}
}

// thousands formats a number with a comma before each group of three digits.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func readDocument(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestConfigSetsTheOwnVariables checks that the variables which no request may set are those that
// every sandbox has.
func TestConfigSetsTheOwnVariables(t *testing.T) {
	var set []string
	for line := range strings.Lines(cellblock.NsjailConfig) {
		if rest, is := strings.CutPrefix(line, `envar: "`); is {
			name, _, _ := strings.Cut(rest, "=")
			set = append(set, name)
		}
	}
	if !slices.Equal(set, jobs.OwnEnv()) {
		t.Errorf("nsjail.cfg sets %v, the domain knows %v", set, jobs.OwnEnv())
	}
}

func TestConfigHoldsThePolicyOfTheList(t *testing.T) {
	want, err := WithPolicy(cellblock.NsjailConfig, seccomp.Kafel(seccomp.AMD64))
	if err != nil {
		t.Fatal(err)
	}
	if want != cellblock.NsjailConfig {
		t.Error("nsjail.cfg differs from the list of system calls; run `make generate`")
	}
}

func TestRender(t *testing.T) {
	l := jobs.DefaultLimits()
	l.TmpBytes = 8 << 20
	got, err := render(cellblock.NsjailConfig, seccomp.Kafel(seccomp.ARM64), l)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, `options: "size=8388608,nr_inodes=16384`) {
		t.Error("the size of /tmp was not put in")
	}
	if strings.Contains(got, "arch_prctl,") || !strings.Contains(got, "POLICY cellblock") {
		t.Error("the policy is not arm64's")
	}
	if _, err := render("name: \"x\"\n", "", l); err == nil {
		t.Error("a configuration without the marked block was taken")
	}
}

// TestSettingsDefaults checks the settings against the domain's defaults.
func TestSettingsDefaults(t *testing.T) {
	if got := defaultSettings(t).Limits(); got != jobs.DefaultLimits() {
		t.Errorf("settings give %+v, the domain %+v", got, jobs.DefaultLimits())
	}
}
