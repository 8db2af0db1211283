package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mounts, own string
		version     string
		parents     []string
		fails       bool
	}{
		"version 1, one mount for each controller": {
			mounts: `30 29 0:25 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
31 29 0:26 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
32 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 29 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 29 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`,
			own:     "8:pids:/\n4:memory:/api/x\n2:cpuacct:/\n1:cpu:/\n0::/\n",
			version: "cgroup v1",
			parents: []string{
				"/sys/fs/cgroup/memory/api/x", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu",
			},
		},
		"version 1, mounted together": {
			mounts: `30 29 0:25 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 29 0:27 / /c/memory rw - cgroup cgroup rw,memory
33 29 0:28 / /c/pids rw - cgroup cgroup rw,pids
`,
			own:     "8:pids:/p\n4:memory:/m\n2:cpu,cpuacct:/x\n",
			version: "cgroup v1",
			parents: []string{"/c/memory/m", "/c/pids/p", "/c/cpu,cpuacct/x"},
		},
		"version 2": {
			mounts:  "34 29 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			own:     "0::/system.slice/cellblock.service\n",
			version: "cgroup v2",
			parents: []string{"/sys/fs/cgroup/system.slice/cellblock.service"},
		},
		"version 2 in a container without a cgroup namespace": {
			mounts:  "34 29 0:29 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			own:     "0::/docker/abc\n",
			version: "cgroup v2",
			parents: []string{"/sys/fs/cgroup"},
		},
		"version 1 without pids": {
			mounts: "32 29 0:27 / /c/memory rw - cgroup cgroup rw,memory\n",
			own:    "4:memory:/m\n", fails: true,
		},
		"none": {mounts: "20 1 0:20 / / rw - ext4 /dev/vda rw\n", own: "", fails: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := find(test.mounts, test.own)
			if test.fails {
				if err == nil {
					t.Fatal("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Version() != test.version {
				t.Errorf("version %s", h.Version())
			}
			if diff := cmp.Diff(test.parents, h.parents); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// needsCgroups skips a test in the short mode, which may not write to cgroups.
func needsCgroups(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs writable cgroups")
	}
}

func open(t *testing.T) *Hierarchy {
	t.Helper()
	needsCgroups(t)
	h, err := Open("cellblock-test-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatalf("this test needs writable cgroups: %v", err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// inGroup starts a shell that joins the group as a sandbox does and then runs script.
func inGroup(t *testing.T, g *Group, script string) *exec.Cmd {
	t.Helper()
	procs, err := g.OpenProcs()
	if err != nil {
		t.Fatal(err)
	}
	join := ""
	for i, f := range procs {
		t.Cleanup(func() { f.Close() })
		join += "echo 0 >&" + strconv.Itoa(3+i) + "; "
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", join+script)
	cmd.ExtraFiles = procs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestGroupCountsAndLimits(t *testing.T) {
	h := open(t)
	g, err := h.New("counts", Limits{MemoryBytes: 64 << 20, Processes: 8})
	if err != nil {
		t.Fatal(err)
	}
	cmd := inGroup(t, g, `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done
		exec dd if=/dev/zero of=/dev/null bs=200M count=1`)
	if err := cmd.Wait(); err == nil {
		t.Error("200 MB fitted into 64 MB")
	}
	stats, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.OOMKills < 1 {
		t.Errorf("no kill was counted: %+v", stats)
	}
	if stats.CPU < 5*time.Millisecond || stats.CPU > 30*time.Second {
		t.Errorf("CPU time %v", stats.CPU)
	}
	if stats.MemoryPeakBytes < 32<<20 || stats.MemoryPeakBytes > 64<<20 {
		t.Errorf("peak of %d bytes", stats.MemoryPeakBytes)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestKillEndsEverything(t *testing.T) {
	h := open(t)
	g, err := h.New("kill", Limits{MemoryBytes: 64 << 20, Processes: 8})
	if err != nil {
		t.Fatal(err)
	}
	cmd := inGroup(t, g, `sleep 1000 & echo $! >/dev/null; wait`)
	deadline := time.Now().Add(5 * time.Second)
	for len(pids(g.dirs[0])) < 2 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // forks in a group send no event
	}
	g.Kill()
	_ = cmd.Wait()
	if err := g.Remove(t.Context()); err != nil {
		t.Errorf("something is left: %v", err)
	}
}

// What a job's look-ups leave in the kernel's cache of names is freed with its group.
func TestRemoveFreesNames(t *testing.T) {
	h := open(t)
	g, err := h.New("names", Limits{MemoryBytes: 256 << 20, Processes: 8})
	if err != nil {
		t.Fatal(err)
	}
	names := fmt.Sprintf("/usr/lib/absent-%d-%%.0f", os.Getpid())
	cmd := inGroup(t, g, "seq -f '"+names+"' 200000 | xargs ls >/dev/null 2>&1")
	_ = cmd.Wait() // ls fails, as it must
	before, _, err := g.version.left(g.dirs)
	if err != nil {
		t.Fatal(err)
	}
	if before <= maxKernelBytesLeft {
		t.Fatalf("names take %d bytes only", before)
	}
	if _, err := g.Stats(); err != nil {
		t.Fatal(err)
	}
	g.reclaim()
	after, _, err := g.version.left(g.dirs)
	if err != nil || after > maxKernelBytesLeft {
		t.Errorf("%d bytes are left of %d, %v", after, before, err)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}

// A killed worker leaves groups; the next Open with its name removes them.
func TestOpenRemovesOldGroups(t *testing.T) {
	needsCgroups(t)
	name := "cellblock-sweep-" + strconv.Itoa(os.Getpid())
	first, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := first.New("left", Limits{MemoryBytes: 64 << 20, Processes: 8})
	if err != nil {
		t.Fatal(err)
	}
	cmd := inGroup(t, g, "exec sleep 1000")
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = cmd.Wait()
	}()
	deadline := time.Now().Add(5 * time.Second)
	for len(pids(g.dirs[len(g.dirs)-1])) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	second, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	<-waited
	for _, parent := range second.parents {
		left, err := filepath.Glob(filepath.Join(parent, "*", "cgroup.procs"))
		if err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// Open reports a group that cannot be removed, as one with a process in uninterruptible sleep, and
// the worker can create others beside it.
func TestOpenReportsUnremovableGroups(t *testing.T) {
	needsCgroups(t)
	name := "cellblock-test-left-" + strconv.Itoa(os.Getpid())
	first, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	stuck, err := first.New("job-1", Limits{MemoryBytes: 64 << 20, Processes: 8})
	if err != nil {
		t.Fatal(err)
	}
	// A group with a child group cannot be removed.
	inside := filepath.Join(stuck.dirs[0], "inside")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	second, err := Open(name)
	if err != nil {
		t.Fatalf("a group that cannot be removed costs all limits: %v", err)
	}
	if diff := cmp.Diff([]string{stuck.dirs[0]}, second.Unremovable()); diff != "" {
		t.Error(diff)
	}
	own, err := second.New("job-2", Limits{MemoryBytes: 64 << 20, Processes: 8})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{own.Remove(t.Context()), os.Remove(inside), stuck.Remove(t.Context()), second.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}
