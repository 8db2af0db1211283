package jail

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens cold sandboxes with the given change to the default settings.
func open(t *testing.T, change func(*host.Settings)) *Provider {
	t.Helper()
	settings := sandboxtest.Defaults[host.Settings](t)
	change(&settings)
	h := sandboxtest.OpenHost(t, settings)
	p, err := NewProvider(h, h.Interpreter, sandboxtest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Without cgroups, the rlimits apply.
func TestColdWithoutCgroups(t *testing.T) {
	t.Parallel()
	cold := open(t, func(s *host.Settings) { s.Wall, s.CPU, s.MemoryMB = 12*time.Second, time.Second, 200 })
	if err := cold.host.Cgroups.Close(); err != nil {
		t.Fatal(err)
	}
	cold.host.Cgroups = nil
	for name, test := range map[string]struct {
		script string
		want   jobs.Code
	}{
		"fine":   {"def main(): return 1", ""},
		"busy":   {"def main():\n    while True: pass", jobs.CodeCPULimit},
		"memory": {"def main(): return len(bytearray(500 << 20))", jobs.CodeException},
	} {
		o := sandboxtest.Run(t, cold, test.script)
		if sandboxtest.Code(o) != test.want {
			t.Errorf("%s: got %q, want %q: %+v", name, sandboxtest.Code(o), test.want, o.Failure)
		}
		if o.Usage.CPUMS == nil || o.Usage.MemoryPeakBytes != nil {
			t.Errorf("%s: usage %+v", name, o.Usage)
		}
		if test.want == jobs.CodeException && !strings.Contains(o.Failure.Hint, "memory") {
			t.Errorf("%s: no hint of the limit: %+v", name, o.Failure)
		}
	}
}

// TestColdLeavesNothing compares processes, cgroups, descriptors and user ids before and after jobs
// that try to stay.
func TestColdLeavesNothing(t *testing.T) {
	cold := open(t, func(s *host.Settings) { s.Wall = time.Second })
	before := sandboxtest.Descriptors(t)
	for _, script := range []string{
		"def main(): return 1",
		"import os, time\ndef main():\n    if os.fork() == 0:\n        os.setsid()\n" +
			"        if os.fork() == 0: time.sleep(300)\n        os._exit(0)\n    return 1",
		"import signal, time\ndef main():\n    for s in range(1, 65):\n" +
			"        try: signal.signal(s, signal.SIG_IGN)\n        except (OSError, ValueError): pass\n" +
			"    time.sleep(300)",
		"import threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()\ndef main(): return 1",
		"import os\ndef main(): os.closerange(0, 100)",
	} {
		sandboxtest.Run(t, cold, script)
	}
	sandbox, err := cold.Acquire(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	sandbox.Discard()
	sandbox.Discard()

	slot := cold.host.Slot
	for range host.JobUIDs {
		id, err := slot.Acquire()
		if err != nil {
			t.Errorf("user ids are still in use: %v", err)
			break
		}
		t.Cleanup(func() { slot.Release(id) })
	}
	left := func() []string { return sandboxtest.ProcessesOf(t, slot.UIDBase, slot.UIDBase+host.UIDsPerWorker) }
	// A killed worker releases its number a moment before the last of its sandboxes is dead.
	for deadline := time.Now().Add(time.Second); len(left()) != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("processes left: %v", left())
		}
	}
	if after := sandboxtest.Descriptors(t); after > before {
		t.Errorf("descriptors: %d before, %d after", before, after)
	}
	if err := cold.host.Cgroups.Close(); err != nil {
		t.Errorf("cgroups left: %v", err)
	}
	cold.host.Cgroups = nil
}
