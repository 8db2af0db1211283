//go:build compose

package compose

import (
	"context"
	"strings"
	"testing"
	"time"
)

// The two sets of flags with which the single container works.
var (
	privileged = []string{"--privileged"}
	sysAdmin   = []string{"--cap-add=SYS_ADMIN", "--security-opt", "seccomp=unconfined"}
)

func TestSinglePrivileged(t *testing.T) { testSingle(t, "privileged", privileged, true) }

// TestSingleSysAdmin runs where Docker masks parts of /proc and cgroups are read-only.
func TestSingleSysAdmin(t *testing.T) { testSingle(t, "sys-admin", sysAdmin, false) }

func testSingle(t *testing.T, name string, flags []string, cgroups bool) {
	t.Helper()
	url := startSingle(t, name, flags, map[string]string{"WORKERS": "2"})
	t.Run("conformance", func(t *testing.T) {
		runConformance(t, url, startSingle(t, name+"-tight", flags, tightLimits()), cgroups)
	})
	t.Run("escapes", func(t *testing.T) { checkNoEscape(t, url) })
}

// TestMissingFlags checks that the container exits and names the missing flag.
func TestMissingFlags(t *testing.T) {
	for _, c := range []struct{ name, flags, missing string }{
		{"none", "", "--security-opt seccomp=unconfined is missing"},
		{"only SYS_ADMIN", "--cap-add=SYS_ADMIN", "--security-opt seccomp=unconfined is missing"},
		{"only seccomp", "--security-opt seccomp=unconfined", "--security-opt systempaths=unconfined is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := append(append([]string{"run", "--rm"}, strings.Fields(c.flags)...), "cellblock:"+version)
			out, err := command(ctx, nil, args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.missing) {
				t.Errorf("%v; it said:\n%s", err, out)
			}
		})
	}
}
