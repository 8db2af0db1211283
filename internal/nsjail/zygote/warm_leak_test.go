package zygote

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandboxtest"
)

// ready is the number of waiting sandboxes of each pool of TestWarmLeavesNothing, and maxNetworks the most network
// namespaces that one of its zygotes needs, its own included.
const ready, maxNetworks = 2, 16

// state holds what must not grow with the number of jobs.
type state struct {
	Descriptors, ZygoteDescriptors, Mounts, ZygoteMounts, Cgroups, Processes int
}

// TestWarmLeavesNothing compares the state before and after 2,000 jobs, some of which try to stay.
func TestWarmLeavesNothing(t *testing.T) {
	const drivers, jobsEach = 4, 500
	warm := openWarm(t, ready, func(s *settings) { s.Zygote.Preload = []string{"numpy"} })
	scripts := []string{
		"def main(): return 1",
		"import numpy\ndef main(): return float(numpy.mean([1, 2, 3]))",
		"import os, time\ndef main():\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(300)\n" +
			"    return 1",
		"def main(): 1/0",
	}
	use := func(n int) {
		for i := range n {
			sandboxtest.Run(t, warm, scripts[i%len(scripts)])
		}
	}
	use(2 * len(scripts)) // first uses load modules and grow caches
	before := awaitRest(t, warm)
	memory := zygoteMemory(t)

	var wg sync.WaitGroup
	for range drivers {
		wg.Go(func() { use(jobsEach) })
	}
	wg.Wait()

	after := awaitRest(t, warm)
	if after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
	const slack = 2 << 20 // the allocator's own rounding
	if grown := zygoteMemory(t); grown > memory+slack {
		t.Errorf("the zygotes' memory: %d bytes before, %d after", memory, grown)
	}
}

// awaitRest waits until the pools are full again and returns the state.
func awaitRest(t *testing.T, warm *Provider) state {
	t.Helper()
	var last state
	same := 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		now := look(t, warm)
		if now == last {
			same++
		} else {
			last, same = now, 0
		}
		if same == 10 {
			return last
		}
	}
	t.Fatalf("the pools do not come to rest: %+v", last)
	return last
}

func look(t *testing.T, warm *Provider) state {
	t.Helper()
	h := warm.plain.host
	s := state{
		Descriptors: sandboxtest.Descriptors(t), Mounts: lines(t, "/proc/self/mountinfo", "cellblock"),
		Processes: len(sandboxtest.ProcessesOf(t, h.Slot.UIDBase, h.Slot.UIDBase+host.UIDsPerWorker)),
	}
	for _, pid := range zygotePIDs(t) {
		s.ZygoteMounts += lines(t, fmt.Sprintf("/proc/%d/mountinfo", pid), "")
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		networks := 0
		for _, entry := range entries {
			target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, entry.Name()))
			if strings.HasPrefix(target, "net:") {
				networks++
			}
		}
		// As many as there were sandboxes at once: waiting, running, and being taken down.
		if networks > maxNetworks {
			t.Errorf("a zygote has %d network namespaces", networks)
		}
		s.ZygoteDescriptors += len(entries) - networks
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + h.Slot.GroupName() + "/*/cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	s.Cgroups = len(groups)
	return s
}

// lines counts the lines that contain a text: other programs on this machine mount things too.
func lines(t *testing.T, file, with string) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range bytes.Lines(content) {
		if bytes.Contains(line, []byte(with)) {
			count++
		}
	}
	return count
}

// zygotePIDs returns the zygotes: the children of this process's nsjails. No other test runs at the
// same time.
func zygotePIDs(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, jail := range sandboxtest.ChildrenOf(t, os.Getpid()) {
		pids = append(pids, sandboxtest.ChildrenOf(t, jail)...)
	}
	if len(pids) != 2 {
		t.Fatalf("%d zygotes", len(pids))
	}
	return pids
}

// zygoteMemory returns the resident memory of the zygotes, in bytes.
func zygoteMemory(t *testing.T) int64 {
	t.Helper()
	var sum int64
	for _, pid := range zygotePIDs(t) {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			var kb int64
			if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
				sum += kb << 10
			}
		}
	}
	return sum
}
