package nsjail

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock"
	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/sandboxtest"
	"cellblock/internal/nsjail/trial"
)

func TestAssess(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		control         trial.Control
		result          trial.Result
		cgroups, gvisor bool
		want            string
	}{
		"memory":                      {trial.Memory, trial.Bites, true, false, ""},
		"memory by cgroups":           {trial.Memory, trial.Toothless, true, false, "rlimits"},
		"processes by cgroups":        {trial.Processes, trial.Toothless, true, true, "rlimits"},
		"CPU time by cgroups":         {trial.CPU, trial.Toothless, true, false, "rlimits"},
		"memory by rlimits":           {trial.Memory, trial.Toothless, false, true, "refuse"},
		"processes by rlimits":        {trial.Processes, trial.Toothless, false, false, "refuse"},
		"processes in gVisor":         {trial.Processes, trial.Toothless, false, true, "without"},
		"CPU time by rlimits":         {trial.CPU, trial.Toothless, false, false, "without"},
		"/proc":                       {trial.Proc, trial.Toothless, true, false, "refuse"},
		"/proc in gVisor":             {trial.Proc, trial.Toothless, true, true, "without"},
		"the filter":                  {trial.Filter, trial.Toothless, true, true, "refuse"},
		"the filter, without a trial": {trial.Filter, trial.Unknown, true, false, "unknown"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := assess([]trial.Finding{{Control: test.control, Result: test.result, Text: "seen"}}, test.cgroups,
				test.gvisor)
			got := map[string]bool{
				"rlimits": a.rejectCgroups != nil, "refuse": a.refuse != nil, "without": len(a.without) > 0,
				"unknown": len(a.unknown) > 0,
			}
			for what, is := range got {
				if is != (what == test.want) {
					t.Errorf("%s: %v, want %q only", what, is, test.want)
				}
			}
		})
	}
}

// toothless is a Sandbox to which no limit that a request asks for applies, as if the kernel stored and ignored it.
type toothless struct{ *sandbox.Sandbox }

func (s toothless) Run(ctx context.Context, script string, _ jobs.Entry, _ *jobs.Inputs) jobs.Outcome {
	return s.Sandbox.Run(ctx, script, jobs.EntryMain, nil)
}

// Limits that are there and without effect are noticed, with cgroups and with rlimits.
func TestToothlessLimitsAreNoticed(t *testing.T) {
	t.Parallel()
	inBothKinds(t, nil, func(t *testing.T, provider Provider) {
		findings, err := trial.Run(t.Context(), func(ctx context.Context, script string) (trial.Sandbox, error) {
			s, err := provider.Acquire(ctx, script)
			return toothless{s}, err
		}, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			want := trial.Toothless
			if f.Control == trial.CPU {
				want = trial.Unknown // it is counted, and the worker, which was not asked to, ended nothing
			} else if !isLimit(f.Control) {
				want = trial.Bites
			}
			if f.Result != want {
				t.Errorf("%+v, want result %d", f, want)
			}
		}
	})
}

// withoutOOMKiller makes the kernel stop a process that needs more memory than its group may have, where it should end
// it: groups below the host's inherit that.
func withoutOOMKiller(t *testing.T, h *host.Host) {
	t.Helper()
	controls, err := filepath.Glob("/sys/fs/cgroup/memory/*/" + h.Slot.GroupName() + "/memory.oom_control")
	if err == nil && len(controls) == 0 {
		controls, err = filepath.Glob("/sys/fs/cgroup/memory/*/*/" + h.Slot.GroupName() + "/memory.oom_control")
	}
	if err != nil || len(controls) != 1 {
		t.Skip("needs cgroup version 1")
	}
	if err := os.WriteFile(controls[0], []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
}

// Where the memory limit of cgroups has no effect, a worker goes on with rlimits, and reports it; with REQUIRE_CGROUPS
// it refuses to start.
func TestMemoryFallsBackToRlimits(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{KindCold, KindWarm} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			settings := sandboxtest.Defaults[Settings](t)
			settings.Sandbox, settings.Zygote.Preload, settings.Zygote.PreloadOnDemand = kind, nil, nil
			h := openHost(t, settings)
			withoutOOMKiller(t, h)
			logged := sandboxtest.NewWarnings()
			provider, err := NewProvider(t.Context(), h, settings, 1, slog.New(logged))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(provider.Close)
			if _, err := h.CgroupVersion(); err == nil || !strings.Contains(err.Error(), "memory: ") {
				t.Errorf("the cgroups stand: %v", err)
			}
			o := sandboxtest.Run(t, provider, "def main(): return len(bytearray(1 << 30))")
			if sandboxtest.Code(o) != jobs.CodeException || o.Failure.Hint != "the memory limit" {
				t.Errorf("got %+v", o.Failure)
			}
		})
	}
	t.Run("required", func(t *testing.T) {
		t.Parallel()
		settings := sandboxtest.Defaults[Settings](t)
		settings.Sandbox, settings.RequireCgroups = KindCold, true
		h := openHost(t, settings)
		withoutOOMKiller(t, h)
		if provider, err := NewProvider(t.Context(), h, settings, 1, sandboxtest.Logger(t)); err == nil {
			provider.Close()
			t.Error("the worker starts")
		} else if !strings.Contains(err.Error(), "cgroups are required and do not bite: memory: ") {
			t.Error(err)
		}
	})
}

// A /proc that shows more than processes is noticed, and no worker starts with it.
func TestAWholeProcIsRefused(t *testing.T) {
	t.Parallel()
	settings := sandboxtest.Defaults[Settings](t)
	config := strings.ReplaceAll(cellblock.NsjailConfig, "subset=pid", "")
	if config == cellblock.NsjailConfig {
		t.Fatal("nsjail.cfg has no subset=pid")
	}
	settings.Sandbox, settings.ConfigFile = KindCold, filepath.Join(t.TempDir(), "nsjail.cfg")
	if err := os.WriteFile(settings.ConfigFile, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	provider, err := NewProvider(t.Context(), openHost(t, settings), settings, 1, sandboxtest.Logger(t))
	if err == nil {
		provider.Close()
		t.Fatal("the worker starts")
	}
	if !strings.Contains(err.Error(), "/proc does not bite: a script can open /proc/") {
		t.Error(err)
	}
}

// The trials delay the start of a worker by about a second at most on an idle machine. This only prints how long they
// take, since other tests run beside.
func TestTrialsAreShort(t *testing.T) {
	inBothKinds(t, func(s *Settings) { s.Zygote.Preload = nil }, func(t *testing.T, provider Provider) {
		began := time.Now()
		if _, err := trial.Run(t.Context(), func(ctx context.Context, script string) (trial.Sandbox, error) {
			return provider.Acquire(ctx, script)
		}, true); err != nil {
			t.Fatal(err)
		}
		t.Logf("all trials took %v", time.Since(began))
	})
}
