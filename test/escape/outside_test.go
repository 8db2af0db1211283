package escape

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// outsideChecks are the checks that an attempt's header may name. They run outside the sandbox after the attempt.
var outsideChecks = map[string]func(t *testing.T, s *stack.Stack, got answer){
	// The folder that every user may write to is unchanged.
	"canary": func(t *testing.T, _ *stack.Stack, _ answer) {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(canary, "file"))
		if err != nil || string(content) != canaryText {
			t.Errorf("a file of the machine was changed: %q, %v", content, err)
		}
		if entries, err := os.ReadDir(canary); err != nil || len(entries) != 1 {
			t.Errorf("a folder of the machine was changed: %v, %v", entries, err)
		}
	},
	// The reported usage is the real one (at least 2 s, of 2.2).
	"cpu counted": func(t *testing.T, _ *stack.Stack, got answer) {
		t.Helper()
		if hasCgroups(t) && (got.Usage.CPUMS == nil || *got.Usage.CPUMS < 1000) {
			t.Errorf("a second of work was hidden: %s", got.body)
		}
	},
	"memory counted": func(t *testing.T, _ *stack.Stack, got answer) {
		t.Helper()
		if hasCgroups(t) && got.Usage.MemoryPeakBytes != nil && *got.Usage.MemoryPeakBytes < 80<<20 {
			t.Errorf("80 MB of memory were hidden: %s", got.body)
		}
	},
	// The locks of the attempt are gone. Those of others that run at the same time come and go.
	"few locks left": func(t *testing.T, _ *stack.Stack, _ answer) {
		t.Helper()
		if stack.InGVisor() {
			return // it does not count them
		}
		const most = 10_000
		left := untilAtMost(most, stack.Scaled(10*time.Second), func() int64 {
			list, err := os.ReadFile("/proc/locks")
			if err != nil {
				t.Error(err)
			}
			return int64(strings.Count(string(list), "\n"))
		})
		if left > most {
			t.Errorf("%d file locks are held on this machine", left)
		}
	},
	// The kernel keeps little for the groups of the workers once other attempts are over.
	"few names left": func(t *testing.T, s *stack.Stack, _ answer) {
		t.Helper()
		if !hasCgroups(t) {
			return
		}
		const most = 64 << 20
		kept := untilAtMost(most, stack.Scaled(20*time.Second), func() int64 { return keptNames(t, s) })
		if kept > most {
			t.Errorf("%d bytes of the kernel's memory are kept for dead jobs", kept)
		}
	},
	// The next script runs at once.
	"next at once": func(t *testing.T, s *stack.Stack, _ answer) {
		t.Helper()
		for range 5 {
			if next := execute(t, s, "def main():\n    return 1\n", nil); string(next.Result) != "1" ||
				next.took > stack.Scaled(3*time.Second) {
				t.Errorf("the next script took %s: %s", next.took, next.body)
			}
		}
	},
}

// untilAtMost reads a number of the kernel's, which has no event for it, until it is at most so high or patience is
// over, and returns it.
func untilAtMost(most int64, patience time.Duration, read func() int64) int64 {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if n := read(); n <= most || time.Now().After(deadline) {
			return n
		}
	}
}

// keptNames returns the most bytes of the kernel's memory that are charged to a worker and its jobs: with version 1 all
// of it, with version 2 what the kernel could free. It also looks at other workers in the same group.
func keptNames(t *testing.T, s *stack.Stack) int64 {
	t.Helper()
	most, known := int64(0), false
	for _, own := range stack.CgroupDirs(s.Workers()[0].PID()) {
		for _, parent := range []string{own, filepath.Dir(own)} { // version 2 moves the worker into a group of its own
			groups, _ := filepath.Glob(filepath.Join(parent, "cellblock-*"))
			for _, group := range groups {
				n, found := kernelBytes(group)
				most, known = max(most, n), known || found
			}
		}
	}
	if !known {
		t.Error("no group of the worker was found")
	}
	return most
}

// kernelBytes reads the number from a cgroup's folder; false if that is not one of the memory controller.
func kernelBytes(dir string) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(dir, "memory.kmem.usage_in_bytes"))
	if err != nil {
		stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
		_, after, _ := strings.Cut(string(stat), "slab_reclaimable ")
		line, _, _ := strings.Cut(after, "\n")
		text = []byte(line)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// hasCgroups reports whether this machine's jobs have cgroups.
func hasCgroups(t *testing.T) bool {
	t.Helper()
	for _, k := range kinds {
		for _, worker := range k.workers() {
			if strings.Contains(worker.Log(), "cgroups unusable") {
				return false
			}
		}
	}
	return true
}

// checkUnharmed checks the state after all attempts: the same worker with the same zygotes, no unexpected line in its
// log, no additional process.
func checkUnharmed(t *testing.T, k *kind) {
	t.Helper()
	for _, worker := range k.workers() {
		select {
		case <-worker.Done():
			t.Errorf("a worker died: %s", worker.Log())
			continue
		default:
		}
		for line := range strings.Lines(worker.Log()) {
			if strings.Contains(line, `"level":"ERROR"`) ||
				strings.Contains(line, `"level":"WARN"`) && strings.Contains(line, "zygote") {
				t.Errorf("the worker had trouble: %s", line)
			}
		}
		now := awaitSteadyProcesses(worker)
		// A busy machine may be slow to end the last sandbox, or to create the next.
		deadline := time.Now().Add(stack.Scaled(5 * time.Second))
		for now != k.before[worker] && time.Now().Before(deadline) {
			now = awaitSteadyProcesses(worker)
		}
		if now != k.before[worker] {
			t.Errorf("%d processes below the worker, %d before", now, k.before[worker])
			for _, pid := range stack.Descendants(worker.PID()) {
				t.Log(stack.Describe(pid))
			}
		}
		checkNoGroupsLeft(t, k, worker)
	}
}

// checkNoGroupsLeft fails if there are more cgroups of jobs than waiting sandboxes. The last one may still be about to
// be removed.
func checkNoGroupsLeft(t *testing.T, k *kind, worker *stack.Process) {
	t.Helper()
	left := groupsLeft(worker)
	for deadline := time.Now().Add(stack.Scaled(20 * time.Second)); len(left) > 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		left = groupsLeft(worker)
	}
	for _, group := range left {
		t.Errorf("%s: a group is left: %s", k.name, group)
	}
}

// groupsLeft returns the cgroups of jobs without a process.
func groupsLeft(worker *stack.Process) (left []string) {
	waiting := map[string]bool{}
	for _, pid := range stack.Descendants(worker.PID()) {
		for _, dir := range stack.CgroupDirs(pid) {
			waiting[dir] = true
		}
	}
	own := map[string]bool{}
	for _, dir := range stack.CgroupDirs(worker.PID()) {
		own[dir] = true
	}
	for dir := range waiting {
		if own[dir] {
			continue
		}
		siblings, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "job-*"))
		for _, sibling := range siblings {
			if !waiting[sibling] && strings.HasPrefix(filepath.Base(filepath.Dir(sibling)), "cellblock-") &&
				!slices.Contains(left, sibling) {
				left = append(left, sibling)
			}
		}
	}
	return left
}
