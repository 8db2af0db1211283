package jail

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cellblock"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/seccomp"
)

// Readers look for the limits in nsjail.cfg, so its numbers must be the real ones.
func TestConfigShowsTheDefaultLimits(t *testing.T) {
	t.Parallel()
	l := jobs.DefaultLimits()
	for _, line := range []string{
		fmt.Sprintf("rlimit_cpu: %d", seconds(l.CPU)+1),
		"rlimit_fsize: " + mebibytes(l.FileBytes),
		fmt.Sprintf("rlimit_nproc: %d", l.Processes+sandbox.ProcessSlack+overheadProcesses),
		fmt.Sprintf("rlimit_nofile: %d", l.OpenFiles),
		fmt.Sprintf(`mount { dst: "/tmp" fstype: "tmpfs" rw: true options: "%snr_inodes=16384,mode=1777" `+
			`nosuid: true nodev: true }`, tmpfsSize(l.TmpBytes)),
	} {
		if !strings.Contains(cellblock.NsjailConfig, "\n"+line+"\n") {
			t.Errorf("nsjail.cfg has no line %q", line)
		}
	}
	for _, prose := range []string{
		"(15 s)", "(10 s)", "700 MiB", "1,024 KiB", "64 processes and threads", "1 MiB each, the result 4 MiB",
	} {
		if !strings.Contains(cellblock.NsjailConfig, prose) {
			t.Errorf("nsjail.cfg does not have %q", prose)
		}
	}
}

// TestConfigSetsTheOwnVariables checks that the variables which no request may set are those that
// every sandbox has.
func TestConfigSetsTheOwnVariables(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	want, err := WithPolicy(cellblock.NsjailConfig, seccomp.Kafel(seccomp.AMD64, seccomp.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if want != cellblock.NsjailConfig {
		t.Error("nsjail.cfg differs from the list of system calls; run `make generate`")
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	l := jobs.DefaultLimits()
	l.TmpBytes = 8 << 20
	got, err := render(cellblock.NsjailConfig, seccomp.Kafel(seccomp.ARM64, seccomp.Options{}), l)
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
