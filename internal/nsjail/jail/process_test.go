package jail

import (
	"strings"
	"syscall"
	"testing"

	"cellblock/internal/nsjail/host"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		gvisor bool
		line   string
		spaces uintptr
	}{
		"Linux": {false, "/opt/nsjail --config /run/n.cfg --user 1", 0},
		// What follows the configuration replaces it.
		"gVisor": {
			true, "/opt/nsjail --config /run/n.cfg --disable_clone_newnet --disable_clone_newcgroup --user 1",
			syscall.CLONE_NEWNET,
		},
	} {
		cmd := command(&host.Host{Settings: host.Settings{Nsjail: "/opt/nsjail"}, GVisor: test.gvisor}, "/run/n.cfg",
			[]string{"--user", "1"})
		if line := strings.Join(cmd.Args, " "); line != test.line {
			t.Errorf("%s: %s, want %s", name, line, test.line)
		}
		if got := cmd.SysProcAttr.Unshareflags; got != test.spaces {
			t.Errorf("%s: starts in new namespaces %#x, want %#x", name, got, test.spaces)
		}
		if len(cmd.Env) != 0 || cmd.Env == nil {
			t.Errorf("%s: the environment is %v, want none", name, cmd.Env)
		}
	}
}
