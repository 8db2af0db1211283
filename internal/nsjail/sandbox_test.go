package nsjail

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/internal/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLogger logs to the test and fails nothing.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// openCold opens cold sandboxes with the given change to the default settings.
func openCold(t testing.TB, change func(*Settings)) *Cold {
	t.Helper()
	settings := defaultSettings(t)
	if change != nil {
		change(&settings)
	}
	host, err := Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return NewCold(host, testLogger(t))
}

// inBothKinds runs a test with cold and with warm sandboxes.
func inBothKinds(t *testing.T, change func(*Settings), test func(*testing.T, Provider)) {
	t.Run(KindCold, func(t *testing.T) { test(t, openCold(t, change)) })
	t.Run(KindWarm, func(t *testing.T) { test(t, openWarm(t, 2, change)) })
}

func run(t testing.TB, provider Provider, script string) jobs.Outcome {
	t.Helper()
	sandbox, err := provider.Acquire(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Run(t.Context(), script, nil)
}

func code(o jobs.Outcome) jobs.Code {
	if o.Failure == nil {
		return ""
	}
	return o.Failure.Code
}

func TestSandboxRunsAScript(t *testing.T) {
	t.Parallel()
	inBothKinds(t, nil, testRunsAScript)
}

func testRunsAScript(t *testing.T, provider Provider) {
	o := run(t, provider, `
import sys
def main():
    import numpy as np
    import pandas as pd
    print("Processing data...")
    print("oh", file=sys.stderr)
    data = np.array([1, 2, 3, 4, 5])
    return {"mean": float(np.mean(data)), "sum": int(np.sum(data))}
`)
	if o.Failure != nil {
		t.Fatalf("%+v\nstderr: %s", o.Failure, o.Stderr)
	}
	if got := string(o.Result); got != `{"mean": 3.0, "sum": 15}` && got != `{"mean":3.0,"sum":15}` {
		t.Errorf("result %s", got)
	}
	if o.Stdout != "Processing data...\n" || o.Stderr != "oh\n" {
		t.Errorf("stdout %q, stderr %q", o.Stdout, o.Stderr)
	}
	if o.Usage.RunMS <= 0 || o.Usage.CPUMS == nil || *o.Usage.CPUMS <= 0 || o.Usage.MemoryPeakBytes == nil {
		t.Errorf("usage %+v", o.Usage)
	}
}

// TestVerdicts covers every enforced code and some reported ones, with limits small enough to wait
// for.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	inBothKinds(t, func(s *Settings) {
		s.Wall, s.CPU, s.MemoryMB, s.ResultKB = 3*time.Second, 700*time.Millisecond, 120, 64
	}, testVerdicts)
}

func testVerdicts(t *testing.T, provider Provider) {
	tests := map[string]struct {
		script string
		want   jobs.Code
		signal string
	}{
		"sleeping":                     {"import time\ndef main(): time.sleep(60)", jobs.CodeTimeout, ""},
		"sleeping children":            {"import subprocess\ndef main(): subprocess.run(['/bin/sleep', '60'])", jobs.CodeTimeout, ""},
		"stopped":                      {"import os, signal\ndef main(): os.kill(os.getpid(), signal.SIGSTOP)", jobs.CodeTimeout, ""},
		"busy":                         {"def main():\n    while True: pass", jobs.CodeCPULimit, ""},
		"busy children":                {"import os\ndef main():\n    for _ in range(4):\n        if os.fork() == 0:\n            while True: pass\n    os.wait()", jobs.CodeCPULimit, ""},
		"memory":                       {"def main(): return len(bytearray(500 << 20))", jobs.CodeMemoryLimit, ""},
		"memory in many children":      {"import os, time\ndef main():\n    for _ in range(8):\n        if os.fork() == 0:\n            x = bytearray(40 << 20)\n            time.sleep(60)\n    os.wait()", jobs.CodeMemoryLimit, ""},
		"a result over the bound":      {"def main(): return 'x' * (65 << 10)", jobs.CodeResultTooLarge, ""},
		"a segfault":                   {"import ctypes\ndef main(): ctypes.string_at(0)", jobs.CodeKilled, "SIGSEGV"},
		"abort":                        {"import os\ndef main(): os.abort()", jobs.CodeKilled, "SIGABRT"},
		"SIGKILL to itself":            {"import os\ndef main(): os.kill(os.getpid(), 9)", jobs.CodeKilled, "SIGKILL"},
		"SIGXCPU to itself":            {"import os, signal\ndef main(): os.kill(os.getpid(), signal.SIGXCPU)", jobs.CodeKilled, "SIGXCPU"},
		"SIGKILL to its own group":     {"import os\ndef main(): os.kill(0, 9)", jobs.CodeKilled, "SIGKILL"},
		"SIGTERM to pid 1":             {"import os, time\ndef main():\n    for s in (15, 9):\n        try: os.kill(1, s)\n        except PermissionError: pass\n    return 1", "", ""},
		"os._exit":                     {"import os\ndef main(): os._exit(3)", jobs.CodeExit, ""},
		"sys.exit":                     {"import sys\ndef main(): sys.exit(3)", jobs.CodeExit, ""},
		"no main":                      {"x = 1", jobs.CodeMissingMain, ""},
		"a syntax error":               {"def main(:", jobs.CodeSyntaxError, ""},
		"an exception":                 {"def main(): 1/0", jobs.CodeException, ""},
		"a set":                        {"def main(): return {1}", jobs.CodeNotSerializable, ""},
		"a forged success, then sleep": {"import os, time\ndef main():\n    os.write(3, b'R\\0\\0\\0\\x011')\n    time.sleep(60)", jobs.CodeTimeout, ""},
		"a forged result":              {"import os\ndef main():\n    os.write(3, b'R\\0\\0\\0\\x011')\n    os._exit(0)", "", ""},
		"garbage on the channel":       {"import os\ndef main():\n    os.write(3, b'hello hello')\n    os._exit(0)", jobs.CodeExit, ""},
		"a forged limit":               {"import os\ndef main():\n    m = b'{\"code\":\"timeout\",\"message\":\"x\"}'\n    os.write(3, b'E\\0\\0\\0' + bytes([len(m)]) + m)\n    os._exit(0)", jobs.CodeExit, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			o := run(t, provider, test.script)
			if code(o) != test.want {
				t.Fatalf("got %q, want %q: %+v", code(o), test.want, o.Failure)
			}
			if o.Failure != nil && o.Failure.Signal != test.signal {
				t.Errorf("signal %q, want %q", o.Failure.Signal, test.signal)
			}
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// A deadline is met to within 50 ms. The machine may be busy with other tests, so the best of some
// tries counts; none may be early.
func TestDeadline(t *testing.T) {
	inBothKinds(t, func(s *Settings) { s.Wall = 300 * time.Millisecond }, func(t *testing.T, provider Provider) {
		const wall, slack = 300.0, 50.0
		best := math.Inf(1)
		for range 10 {
			o := run(t, provider, "import time\ndef main(): time.sleep(60)")
			if code(o) != jobs.CodeTimeout || o.Usage.RunMS < wall {
				t.Fatalf("%q after %.1f ms of %v", code(o), o.Usage.RunMS, wall)
			}
			if best = min(best, o.Usage.RunMS); best <= wall+slack {
				return
			}
		}
		t.Errorf("ended after %.1f ms of %v at best", best, wall)
	})
}

// Without cgroups, the rlimits apply.
func TestColdWithoutCgroups(t *testing.T) {
	t.Parallel()
	cold := openCold(t, func(s *Settings) { s.Wall, s.CPU, s.MemoryMB = 12*time.Second, time.Second, 200 })
	if err := cold.host.cgroups.Close(); err != nil {
		t.Fatal(err)
	}
	cold.host.cgroups = nil
	for name, test := range map[string]struct {
		script string
		want   jobs.Code
	}{
		"fine":   {"def main(): return 1", ""},
		"busy":   {"def main():\n    while True: pass", jobs.CodeCPULimit},
		"memory": {"def main(): return len(bytearray(500 << 20))", jobs.CodeException},
	} {
		o := run(t, cold, test.script)
		if code(o) != test.want {
			t.Errorf("%s: got %q, want %q: %+v", name, code(o), test.want, o.Failure)
		}
		if o.Usage.CPUMS == nil || o.Usage.MemoryPeakBytes != nil {
			t.Errorf("%s: usage %+v", name, o.Usage)
		}
		if test.want == jobs.CodeException && !strings.Contains(o.Failure.Hint, "memory") {
			t.Errorf("%s: no hint of the limit: %+v", name, o.Failure)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	inBothKinds(t, nil, testCancel)
}

func testCancel(t *testing.T, provider Provider) {
	sandbox, err := provider.Acquire(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	o := sandbox.Run(ctx, "import time\nprint('before')\ndef main(): time.sleep(60)", nil)
	if code(o) != jobs.CodeCancelled || o.Stdout != "before\n" {
		t.Errorf("%q, stdout %q", code(o), o.Stdout)
	}
}

// TestColdLeavesNothing compares processes, cgroups, descriptors and user ids before and after jobs
// that try to stay.
func TestColdLeavesNothing(t *testing.T) {
	cold := openCold(t, func(s *Settings) { s.Wall = time.Second })
	before := descriptors(t)
	for _, script := range []string{
		"def main(): return 1",
		"import os, time\ndef main():\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0: time.sleep(300)\n        os._exit(0)\n    return 1",
		"import signal, time\ndef main():\n    for s in range(1, 65):\n        try: signal.signal(s, signal.SIG_IGN)\n        except (OSError, ValueError): pass\n    time.sleep(300)",
		"import threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()\ndef main(): return 1",
		"import os\ndef main(): os.closerange(0, 100)",
	} {
		run(t, cold, script)
	}
	sandbox, err := cold.Acquire(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	sandbox.Discard()
	sandbox.Discard()

	claim := cold.host.slot
	if len(claim.inUse) != 0 {
		t.Errorf("user ids still taken: %v", claim.inUse)
	}
	left := func() []string { return processesOf(t, claim.uidBase, claim.uidBase+uidsPerWorker) }
	// A killed worker releases its number a moment before the last of its sandboxes is dead.
	for deadline := time.Now().Add(time.Second); len(left()) != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("processes left: %v", left())
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("descriptors: %d before, %d after", before, after)
	}
	if err := cold.host.cgroups.Close(); err != nil {
		t.Errorf("cgroups left: %v", err)
	}
	cold.host.cgroups = nil
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// processesOf lists the living processes of user ids in [from, to). Dead ones may wait some time
// for their parent to reap them.
func processesOf(t *testing.T, from, to int) []string {
	t.Helper()
	var left []string
	entries, err := fs.Glob(os.DirFS("/proc"), "[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join("/proc", entry))
		if err != nil {
			continue // it ended meanwhile
		}
		if strings.Contains(string(content), "\nState:\tZ") {
			continue
		}
		for line := range strings.Lines(string(content)) {
			var uid int
			if n, _ := fmt.Sscanf(line, "Uid:\t%d", &uid); n == 1 && uid >= from && uid < to {
				left = append(left, entry)
			}
		}
	}
	return left
}

func TestOutput(t *testing.T) {
	t.Parallel()
	inBothKinds(t, nil, testOutput)
}

func testOutput(t *testing.T, provider Provider) {
	o := run(t, provider, `
import os, subprocess, sys
def main():
    sys.stdout.write("x" * (10 << 20))
    sys.stdout.flush()
    subprocess.run(["/bin/echo", "child"], stdout=sys.stderr)
    os.write(2, b"\xff\n")
    print("\ud800", file=sys.stderr)
    return None
`)
	if o.Failure != nil {
		t.Fatalf("%+v", o.Failure)
	}
	if len(o.Stdout) != 1<<20 || !o.Truncated.Stdout || o.Truncated.Stderr {
		t.Errorf("%d bytes of stdout, truncated %+v", len(o.Stdout), o.Truncated)
	}
	if o.Stderr != "child\n�\n�\n" {
		t.Errorf("stderr %q", o.Stderr)
	}
	if string(o.Result) != "null" {
		t.Errorf("result %s", o.Result)
	}
}

func TestDoctor(t *testing.T) {
	settings := defaultSettings(t)
	checks := Doctor(t.Context(), settings)
	var names []string
	for _, c := range checks {
		t.Logf("%-5s %-15s %s", c.Status, c.Name, c.Text)
		names = append(names, c.Name)
		if c.Status != CheckOK {
			t.Errorf("%s: %s", c.Name, c.Text)
		}
	}
	for _, want := range []string{"nsjail", "cgroups", "user namespace", "seccomp", "network", "python"} {
		if !slices.Contains(names, want) {
			t.Errorf("no check %q", want)
		}
	}
	settings.Nsjail = "/nonexistent/nsjail"
	if got := Doctor(t.Context(), settings)[0]; got.Status != CheckFail {
		t.Errorf("a missing nsjail: %+v", got)
	}
}
