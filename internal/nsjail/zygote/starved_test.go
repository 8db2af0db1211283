package zygote

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/sandbox"
	"cellblock/internal/nsjail/sandboxtest"
)

// zygotePID returns the process id of a zygote.
func zygotePID(t *testing.T, z *zygote) int {
	t.Helper()
	pids := sandboxtest.ChildrenOf(t, z.jail.PID())
	if len(pids) != 1 {
		t.Fatalf("processes of a zygote: %v", pids)
	}
	return pids[0]
}

// starve leaves a zygote a thousandth of a processor, of which busy processes in its group take most, until the
// returned function is called.
func starve(t *testing.T, z *zygote) (feed func()) {
	t.Helper()
	group := cpuGroup(t, zygotePID(t, z))
	quota, starved, unlimited := "cpu.cfs_quota_us", "1000", "-1"
	if _, err := os.Stat(filepath.Join(group, "cpu.max")); err == nil {
		quota, starved, unlimited = "cpu.max", "1000 1000000", "max 1000000"
	}
	write := func(file, text string) {
		if err := os.WriteFile(filepath.Join(group, file), []byte(text), 0); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if quota == "cpu.cfs_quota_us" {
		write("cpu.cfs_period_us", "1000000")
	}
	write(quota, starved)
	var busy []*exec.Cmd
	for range 4 {
		cmd := exec.Command("sh", "-c", "read _; while :; do :; done")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		write("cgroup.procs", strconv.Itoa(cmd.Process.Pid))
		pin(t, cmd.Process.Pid, 0)
		_, _ = in.Write([]byte("\n"))
		busy = append(busy, cmd)
	}
	schedule(t, z, schedIdle)
	pin(t, zygotePID(t, z), 0)
	var everywhere []int
	for processor := range runtime.NumCPU() {
		everywhere = append(everywhere, processor)
	}
	return sync.OnceFunc(func() {
		schedule(t, z, schedNormal)
		pin(t, zygotePID(t, z), everywhere...)
		for _, cmd := range busy {
			_ = cmd.Process.Kill()
		}
		write(quota, unlimited)
		for _, cmd := range busy {
			_ = cmd.Wait()
		}
	})
}

// Scheduling policies (sched(7)). A process with schedIdle gets next to nothing beside others of its group.
const schedNormal, schedIdle = 0, 5

func schedule(t *testing.T, z *zygote, policy uint32) {
	t.Helper()
	err := unix.SchedSetAttr(zygotePID(t, z), &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy}, 0)
	if err != nil {
		t.Errorf("set the scheduling policy of a zygote: %v", err)
	}
}

// pin lets a process run on these processors only.
func pin(t *testing.T, pid int, processors ...int) {
	t.Helper()
	var set unix.CPUSet
	for _, processor := range processors {
		set.Set(processor)
	}
	if err := unix.SchedSetaffinity(pid, &set); err != nil {
		t.Errorf("pin a process: %v", err)
	}
}

// cpuGroup returns the folder of the cgroup that bounds a process's CPU time.
func cpuGroup(t *testing.T, pid int) string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		dir := filepath.Join("/sys/fs/cgroup", controllers, path)
		if controllers == "cpu" || controllers == "" && !strings.Contains(string(content), ":cpu:") {
			return dir
		}
	}
	t.Skip("no cgroup bounds CPU time here")
	return ""
}

// A zygote that gets no processor for longer than one may hang is not killed, and with it no job that runs beside.
func TestAStarvedZygoteIsNotKilled(t *testing.T) {
	t.Parallel()
	logged := sandboxtest.NewWarnings()
	warm := openPlain(t, 2, 1000, slog.New(logged), func(s *settings) { s.Wall = 30 * time.Second })
	neighbour, short := acquirePlain(t, warm), acquirePlain(t, warm)
	z := neighbour.fork.zygote
	if short.fork.zygote != z {
		t.Fatal("two zygotes")
	}
	var outcome jobs.Outcome
	var running sync.WaitGroup
	running.Go(func() {
		outcome = neighbour.Run(t.Context(), "import time\ndef main():\n    time.sleep(17)\n    return 'alive'",
			jobs.EntryMain, nil)
	})
	feed := starve(t, z)
	defer feed()
	if o := short.Run(t.Context(), "def main(): return 1", jobs.EntryMain, nil); o.Failure != nil {
		t.Errorf("the short job: %+v", o.Failure)
	}
	// The zygote owes a report since the short job's end.
	const starved = sandbox.TeardownBound + endReportBound + 2*time.Second
	select {
	case <-z.jail.Gone:
		t.Error("the starved zygote was killed")
	case <-time.After(starved):
	}
	feed()
	running.Wait()
	if string(outcome.Result) != `"alive"` {
		t.Errorf("the neighbour: %+v", outcome.Failure)
	}
	if text := strings.Join(logged.All(), "\n"); strings.Contains(text, "hangs") || strings.Contains(text, "not die") {
		t.Errorf("logged: %s", text)
	}
	if got := sandboxtest.Value[int](t, warm, "def main(): return 7"); got != 7 {
		t.Errorf("got %d", got)
	}
}

// A zygote that hangs while it owes a report is killed soon.
func TestAStoppedZygoteIsKilledSoon(t *testing.T) {
	t.Parallel()
	warm := openPlain(t, 1, 1000, sandboxtest.Logger(t), nil)
	s := acquirePlain(t, warm)
	z := s.fork.zygote
	if err := unix.Kill(zygotePID(t, z), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	began := time.Now()
	select {
	case <-z.jail.Gone:
		t.Logf("killed %v after the discard", time.Since(began))
	case <-time.After(5 * endReportBound):
		t.Error("the stopped zygote is not killed")
	}
}
