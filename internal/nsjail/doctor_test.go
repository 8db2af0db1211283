package nsjail

import (
	"slices"
	"testing"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandboxtest"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedsNsjail(t)
	settings := sandboxtest.Defaults[Settings](t)
	checks := Doctor(t.Context(), settings, 2)
	var names []string
	for _, c := range checks {
		t.Logf("%-5s %-15s %s", c.Status, c.Name, c.Text)
		names = append(names, c.Name)
		if c.Status != host.CheckOK {
			t.Errorf("%s: %s", c.Name, c.Text)
		}
	}
	for _, want := range []string{
		"nsjail", "cgroups", "user namespace", "seccomp", "network", "python", "kernel",
		"tried: memory", "tried: processes", "tried: CPU time", "tried: /proc", "tried: filter",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no check %q", want)
		}
	}
	settings.Nsjail = "/nonexistent/nsjail"
	if got := Doctor(t.Context(), settings, 2)[0]; got.Status != host.CheckFail {
		t.Errorf("a missing nsjail: %+v", got)
	}
}
