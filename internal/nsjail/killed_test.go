package nsjail

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandboxtest"
)

const asVictim = "CELLBLOCK_TEST_AS_VICTIM"

// TestKilledWorker runs itself again as a worker with jobs and kills it with SIGKILL: its sandboxes
// die with it, and the next worker with its number removes the cgroups.
func TestKilledWorker(t *testing.T) {
	if kind := os.Getenv(asVictim); kind != "" {
		beVictim(t, kind)
		return
	}
	sandboxtest.NeedsNsjail(t)
	for _, kind := range []string{KindCold, KindWarm} {
		t.Run(kind, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledWorker$")
			cmd.Env = append(os.Environ(), asVictim+"="+kind)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var number, uidBase int
			line, err := bufio.NewReader(out).ReadString('\n')
			if _, scan := fmt.Sscanf(line, "victim %d %d", &number, &uidBase); err != nil || scan != nil {
				t.Fatalf("the victim printed %q: %v", line, err)
			}
			if len(sandboxtest.ProcessesOf(t, uidBase, uidBase+host.UIDsPerWorker)) == 0 {
				t.Fatal("the victim has no sandboxes")
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			within(t, 2*time.Second, "its sandboxes are dead", func() bool {
				return len(sandboxtest.ProcessesOf(t, uidBase, uidBase+host.UIDsPerWorker)) == 0
			})
			clearedByTheNext(t, number)
		})
	}
}

// beVictim keeps a job running and prints that it does, until it is killed.
func beVictim(t *testing.T, kind string) {
	settings := sandboxtest.Defaults[Settings](t)
	settings.Sandbox, settings.Zygote.Preload = kind, nil
	h, err := Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := NewProvider(t.Context(), h, settings, 2, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const script = "import os, time\ndef main():\n    os.fork()\n    time.sleep(600)"
	sandbox, err := provider.Acquire(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("victim %d %d\n", h.Slot.Number, h.Slot.UIDBase)
	sandbox.Run(t.Context(), script, jobs.EntryMain, nil)
}

// clearedByTheNext opens hosts until one has the number, and checks that it removed what the dead
// worker left.
func clearedByTheNext(t *testing.T, number int) {
	t.Helper()
	for {
		h := openHost(t, sandboxtest.Defaults[Settings](t))
		if h.Slot.Number < number {
			continue // another worker of this machine; keep its number
		}
		if h.Slot.Number > number {
			return // another worker of this machine took the number and cleaned up
		}
		left, err := filepath.Glob("/sys/fs/cgroup/*/" + h.Slot.GroupName() + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				t.Errorf("left: %s", path)
			}
		}
		return
	}
}

// within polls for a condition that sends no event.
func within(t *testing.T, bound time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %s", bound, what)
		}
	}
}
