package host

import (
	"strings"
	"testing"
)

func TestCapacity(t *testing.T) {
	t.Parallel()
	ample := machine{pids: 4 << 20, files: 1 << 40, ownFiles: 1 << 20}
	for _, tc := range []struct {
		name   string
		change func(*machine)
		jobs   int
		want   []string
	}{
		{"ample", func(*machine) {}, 512, nil},
		{"unknown", func(m *machine) { *m = machine{} }, 512, nil},
		{"few jobs on a small machine", func(m *machine) { m.pids, m.ownFiles = 32768, 1024 }, 8, nil},
		{"processes", func(m *machine) { m.pids = 32768 }, 512, []string{"processes (32768", "kernel.pid_max"}},
		{"a container's processes", func(m *machine) { m.pids = 1200 }, 8, []string{"processes (1200"}},
		{"files of the worker", func(m *machine) { m.ownFiles = 4096 }, 512, []string{"of the worker (4096"}},
		{"files of the machine", func(m *machine) { m.files = 1 << 20 }, 512, []string{"of the machine", "file-max"}},
		{
			"all", func(m *machine) { *m = machine{pids: 1, files: 1, ownFiles: 1} }, 2,
			[]string{"processes", "of the worker", "of the machine", "WORKER_CONCURRENCY"},
		},
	} {
		m := ample
		tc.change(&m)
		got := m.shortage(tc.jobs, 64)
		if (got == "") != (tc.want == nil) {
			t.Errorf("%s: %q", tc.name, got)
		}
		for _, text := range tc.want {
			if !strings.Contains(got, text) {
				t.Errorf("%s: %q lacks %q", tc.name, got, text)
			}
		}
	}
}

func TestCapacityOfThisMachine(t *testing.T) {
	t.Parallel()
	if lowest(0, 5) != 5 || lowest(5, 0) != 5 || lowest(3, 5) != 3 {
		t.Error("lowest")
	}
	if got := readNumber("/proc/sys/kernel/pid_max"); got < 300 {
		t.Errorf("pid_max %d", got)
	}
}
