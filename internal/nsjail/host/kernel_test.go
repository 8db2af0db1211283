package host

import (
	"slices"
	"strings"
	"testing"
)

// The versions of each hole are in order, one for each series, and end with a release of Linux.
func TestHoles(t *testing.T) {
	t.Parallel()
	for i, h := range holes {
		if i > 0 && holes[i-1].id >= h.id {
			t.Errorf("%s is out of order", h.id)
		}
		if h.reach == "" || len(h.fixed) == 0 || h.fixed[len(h.fixed)-1][2] > 0 {
			t.Errorf("%s: %+v", h.id, h)
			continue
		}
		series := map[[2]int]bool{}
		for _, f := range h.fixed {
			series[[2]int{f[0], f[1]}] = true
		}
		sorted := slices.IsSortedFunc(h.fixed, func(a, b kernelVersion) int { return slices.Compare(a[:], b[:]) })
		if !sorted || len(series) != len(h.fixed) || !h.since.before(h.fixed[0]) {
			t.Errorf("%s: %+v", h.id, h)
		}
	}
}

func TestCheckKernel(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		release, build string
		status         string
		names          []string
	}{
		"new enough":          {"6.18.24", "#1 SMP", CheckOK, nil},
		"one release before":  {"6.18.23-generic", "#1 SMP", CheckWarn, []string{"CVE-2026-43074"}},
		"a new series":        {"7.1.0", "#1 SMP", CheckOK, nil},
		"a candidate":         {"7.0.0-rc9", "#1 SMP", CheckOK, nil},
		"a series that ended": {"6.10.14", "#1 SMP", CheckWarn, []string{"CVE-2024-50066", "CVE-2026-43074"}},
		"older than the hole": {"5.15.25", "#1 SMP", CheckOK, nil},
		"a pipe":              {"5.15.24", "#1 SMP", CheckWarn, []string{"CVE-2022-0847"}},
		"a stack":             {"6.1.36", "#1 SMP", CheckWarn, []string{"CVE-2023-3269"}},
		"Debian":              {"6.1.0-18-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)", CheckOK, nil},
		"Ubuntu":              {"6.8.0-45-generic", "#45-Ubuntu SMP", CheckWarn, []string{"-50066", "tracker"}},
		"gVisor":              {"4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016", CheckOK, []string{"gVisor"}},
		"no version":          {"next", "#1", CheckWarn, nil},
		"two numbers":         {"6.19", "#1", CheckWarn, []string{"CVE-2026-43074"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := checkKernel(test.release, test.build)
			if got.Status != test.status {
				t.Errorf("%s: %s", got.Status, got.Text)
			}
			for _, want := range test.names {
				if !strings.Contains(got.Text, want) {
					t.Errorf("%q is not in: %s", want, got.Text)
				}
			}
		})
	}
}
