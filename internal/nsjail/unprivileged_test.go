package nsjail

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/sandboxtest"
)

// unprivilegedID is the user and group that the worker runs as.
const unprivilegedID = 65534

const asUnprivileged = "CELLBLOCK_TEST_UNPRIVILEGED"

// TestUnprivileged runs itself again as an unprivileged user: a single user id can be mapped, there
// are no cgroups, and both kinds of sandboxes work.
func TestUnprivileged(t *testing.T) {
	if os.Getenv(asUnprivileged) != "" {
		inBothKinds(t, func(s *Settings) { s.Wall, s.MemoryMB = 3*time.Second, 300 }, testUnprivileged)
		return
	}
	sandboxtest.NeedsNsjail(t)
	// Not t.TempDir: its parents are closed to others.
	dir, err := os.MkdirTemp("/tmp", "cellblock-nobody-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "test")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestUnprivileged$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), asUnprivileged+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivilegedID, Gid: unprivilegedID}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testUnprivileged(t *testing.T, provider Provider) {
	o := sandboxtest.Run(t, provider, lookInside)
	if o.Failure != nil {
		t.Fatalf("%+v", *o.Failure)
	}
	var in inside
	if err := json.Unmarshal(o.Result, &in, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	for _, set := range in.Caps {
		if set != "0000000000000000" {
			t.Errorf("capabilities: %v", in.Caps)
		}
	}
	if in.NNP != "1" || in.Seccomp != "2" || in.PID != 2 || len(in.PIDs) != 2 {
		t.Errorf("%+v", in)
	}
	for script, want := range map[string]jobs.Code{
		"import numpy\ndef main(): return 1":                                   "",
		"import time\ndef main(): time.sleep(60)":                              jobs.CodeTimeout,
		"import os\ndef main(): os.kill(0, 9)":                                 jobs.CodeKilled,
		"import os\ndef main(): return open('/etc/shadow').read()":             jobs.CodeException,
		"import os\ndef main(): os.setuid(0)":                                  jobs.CodeException,
		"def main(): return len(bytearray(500 << 20))":                         jobs.CodeException,
		"import ctypes\ndef main(): assert ctypes.CDLL(None).unshare(1 << 28)": "",
	} {
		if o := sandboxtest.Run(t, provider, script); sandboxtest.Code(o) != want {
			t.Errorf("%q: got %q, want %q: %+v", script, sandboxtest.Code(o), want, o.Failure)
		}
	}
}
