package conformance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/test/stack"
)

// TestManyAtOnce: of 200 concurrent requests on two workers, each gets its own response. It does
// not run in parallel with other tests: it loads the machine fully.
func TestManyAtOnce(t *testing.T) { forEachKind(t, checkManyAtOnce) }

func checkManyAtOnce(t *testing.T, k *kind) {
	const requests = 200
	base := k.standard.URL
	var all sync.WaitGroup
	for n := range requests {
		all.Go(func() {
			script := fmt.Sprintf("import os\ndef main():\n    print('job %d')\n    return [%d, os.getpid()]\n", n, n)
			a := execute(t, base, script)
			// On a slow machine a response may be 202: then read the result by the job's id.
			if a.HTTPStatus == http.StatusAccepted {
				a = read(t, base, a.JobID, "?wait=30s")
			}
			if got, want := string(a.Result), fmt.Sprintf("[%d,2]", n); got != want {
				t.Errorf("request %d got %s: %.300s", n, got, a.Body)
			}
			if a.Stdout == nil || *a.Stdout != fmt.Sprintf("job %d\n", n) {
				t.Errorf("request %d got the output of another: %.300s", n, a.Body)
			}
		})
	}
	all.Wait()
	for _, worker := range k.standard.Workers() {
		if jobs := strings.Count(worker.Log(), `"job ended"`); jobs < requests/10 {
			t.Errorf("%s has run %d of the jobs", worker.Name, jobs)
		}
	}
}

// TestNothingIsLeft: soon after the response no process of the job exists, neither after its own
// end nor after a kill.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		for _, c := range []struct{ name, end, code string }{
			{"an end of its own", "return 1", ""},
			{"an exception", "raise ValueError", "exception"},
			{"a segmentation fault", "__import__('ctypes').string_at(0)", "killed"},
			{"a timeout", "time.sleep(60)", "timeout"},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				checkNothingIsLeft(t, k, c.end, c.code)
			})
		}
	})
}

func checkNothingIsLeft(t *testing.T, k *kind, end, code string) {
	t.Helper()
	mark := newMark()
	// A child, a daemon that has left every session, a thread.
	a := execute(t, k.tight.URL, fmt.Sprintf(`
import os, subprocess, threading, time

def main():
    subprocess.Popen(["sleep", "%[1]s"])
    subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM HUP INT; sleep %[1]s & sleep %[1]s"], start_new_session=True)
    threading.Thread(target=time.sleep, args=(%[1]s,)).start()
    time.sleep(0.2)
    %[2]s
`, mark, end))
	checkEqual(t, "code", a.Code, code)
	// All were killed before the response; the kernel may not have finished.
	var left []int
	eventually(func() bool {
		left = stack.ProcessesMatching(mark)
		return len(left) == 0
	})
	for _, pid := range left {
		t.Errorf("process %d is left: %s", pid, stack.CommandLine(pid))
	}
}

// newMark returns a unique sleeping time, in seconds, by which a job's processes are found from
// outside.
func newMark() string { return fmt.Sprintf("1%09d", time.Now().UnixNano()%1e9) }

// TestCgroupsAreRemoved finds a job's control groups by its processes.
func TestCgroupsAreRemoved(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		checkCgroupsAreRemoved(t, k.startOneSlot(t))
	})
}

func checkCgroupsAreRemoved(t *testing.T, s *stack.Stack) {
	t.Helper()
	mark := newMark()
	job := submit(t, s.URL,
		"import subprocess, time\ndef main():\n    subprocess.Popen(['sleep', '"+mark+"'])\n    time.sleep(2)\n")
	worker := s.Workers()[0].PID()
	own := stack.CgroupDirs(worker)
	var dirs []string
	if !eventually(func() bool {
		for _, pid := range stack.ProcessesMatching(mark) {
			dirs = stack.CgroupDirs(pid)
		}
		return len(dirs) > 0
	}) {
		t.Fatal("the job does not start")
	}
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return slices.Contains(own, dir) })
	if len(dirs) == 0 {
		t.Skip("jobs have no cgroups of their own on this machine")
	}
	rememberCgroups(worker, own, dirs)
	a := read(t, s.URL, job.JobID, "?wait=20s")
	checkEqual(t, "status", a.Status, "succeeded")
	if a.Usage == nil || a.Usage.CPUMS == nil || a.Usage.MemoryPeakBytes == nil {
		t.Errorf("usage lacks what cgroups tell: %.500s", a.Body)
	}
	for _, dir := range dirs {
		if !eventually(func() bool {
			_, err := os.Stat(dir)
			return os.IsNotExist(err)
		}) {
			t.Errorf("the job has ended and %s is there", dir)
		}
	}
}

// rememberCgroups records the folders that must be gone once the worker has ended: the job's, all
// others below the worker, and the worker's own above them.
func rememberCgroups(worker int, own, job []string) {
	seenCgroups.Lock()
	defer seenCgroups.Unlock()
	dirs := job
	for _, pid := range stack.Descendants(worker) {
		dirs = append(dirs, stack.CgroupDirs(pid)...)
	}
	for _, dir := range dirs {
		for _, one := range []string{dir, filepath.Dir(dir)} {
			above := slices.ContainsFunc(own, func(o string) bool { return o == one || strings.HasPrefix(o, one+"/") })
			if !above && !slices.Contains(seenCgroups.dirs, one) {
				seenCgroups.dirs = append(seenCgroups.dirs, one)
			}
		}
	}
}

// TestJobsSeeNothingOfEachOther: no file and no random number of one job appears in another.
func TestJobsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		checkJobsAreIsolated(t, k.standard.URL)
	})
}

func checkJobsAreIsolated(t *testing.T, base string) {
	t.Helper()
	const script = `
import multiprocessing, os, random, ssl, tempfile, uuid
import numpy as np

def main():
    found = sorted(os.listdir("/tmp") + os.listdir("/dev/shm"))
    for place in ("/tmp/left", "/dev/shm/left"):
        with open(place, "w") as f:
            f.write("x")
    numbers = [os.urandom(8).hex(), random.random(), str(uuid.uuid4()), ssl.RAND_bytes(8).hex(),
               np.random.rand(), np.random.default_rng().random(), tempfile.mktemp(),
               multiprocessing.current_process().authkey.hex()]
    return {"found": found, "numbers": numbers}
`
	seen := map[string]bool{}
	for range 6 {
		a := execute(t, base, script)
		matching(`^\{"found":\["\.matplotlib","\.tmp","outputs","script\.py"\],`).check(t, "result", string(a.Result))
		var result struct {
			Numbers []any `json:"numbers"`
		}
		decode(t, a.Result, &result)
		for i, number := range result.Numbers {
			key := fmt.Sprint(i, " ", number)
			if seen[key] {
				t.Errorf("two jobs drew the same number %d: %v", i, number)
			}
			seen[key] = true
		}
	}
}

// TestShutdown: after a stop signal, worker and API exit with 0, and the running job ends properly
// first.
func TestShutdown(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k *kind) {
		t.Parallel()
		checkShutdown(t, k.startOneSlot(t))
	})
}

func checkShutdown(t *testing.T, s *stack.Stack) {
	t.Helper()
	job := submit(t, s.URL, "import time\ndef main():\n    time.sleep(2)\n    return 'finished'\n")
	if !eventually(func() bool { return read(t, s.URL, job.JobID, "").Status == "running" }) {
		t.Fatal("the job does not start")
	}
	worker := s.Workers()[0]
	if err := worker.Stop(); err != nil {
		t.Errorf("%v\n%s", err, worker.Log())
	}
	checkEqual(t, "result", string(read(t, s.URL, job.JobID, "").Result), `"finished"`)
	began := time.Now()
	if err := s.API.Stop(); err != nil {
		t.Errorf("%v\n%s", err, s.API.Log())
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the API took %s to end", took)
	}
}
