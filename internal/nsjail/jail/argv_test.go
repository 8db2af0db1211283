package jail

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
)

func TestArgv(t *testing.T) {
	t.Parallel()
	base := launch{
		Python: "/opt/py", OutsideUID: 100007, Limits: jobs.DefaultLimits(), Cgroups: 2,
	}
	want := strings.Fields(`--user 1000:100007:1 --group 1000:100007:1
		--time_limit 115 --log_fd 7
		--rlimit_cpu 11 --rlimit_as inf --rlimit_fsize 16 --rlimit_nproc 73 --rlimit_nofile 256
		--pass_fd 3 --pass_fd 4 --pass_fd 5 --pass_fd 6
		-- /opt/py -I -B /runner/main.py --channel-fd 3 --status-fd 4 --cgroup-fd 5 --cgroup-fd 6`)
	if diff := cmp.Diff(want, argv(base)); diff != "" {
		t.Error(diff)
	}

	t.Run("without cgroups the rlimits are the limits themselves", func(t *testing.T) {
		l := base
		l.Cgroups = 0
		line := strings.Join(argv(l), " ")
		for _, want := range []string{"--rlimit_cpu 10 ", "--rlimit_as 700 ", "--log_fd 5 "} {
			if !strings.Contains(line, want) {
				t.Errorf("%q is not in %s", want, line)
			}
		}
		for _, no := range []string{"--cgroup-fd", "--pass_fd 5"} {
			if strings.Contains(line, no) {
				t.Errorf("%q is in %s", no, line)
			}
		}
	})

	t.Run("fractions are rounded up", func(t *testing.T) {
		l := base
		l.Limits.Wall, l.Limits.FileBytes = 1500e6, 16<<20+1
		line := strings.Join(argv(l), " ")
		for _, want := range []string{"--time_limit 102 ", "--rlimit_fsize 17 "} {
			if !strings.Contains(line, want) {
				t.Errorf("%q is not in %s", want, line)
			}
		}
	})
}
