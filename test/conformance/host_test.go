package conformance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cellblock/test/stack"
)

// TestManyAtOnce: 200 requests at once on two workers, each gets its own answer.
// Not parallel with other tests: it is the machine's full load.
func TestManyAtOnce(t *testing.T) {
	const requests = 200
	// A slow machine may need more than the wait for an answer: then the rest
	// is read under the job's id.
	var all sync.WaitGroup
	for n := range requests {
		all.Go(func() {
			script := fmt.Sprintf("import os\ndef main():\n    print('job %d')\n    return [%d, os.getpid()]\n", n, n)
			a := execute(t, standard.URL, script)
			if a.HTTPStatus == http.StatusAccepted {
				a = read(t, standard.URL, a.JobID, "?wait=30s")
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
	for _, worker := range standard.Workers() {
		if log := worker.Log(); len(log) == 0 {
			t.Errorf("%s has nothing to say", worker.Name)
		}
	}
}

// TestNothingIsLeft: when the answer is there, no process of the job is, and no
// cgroup: neither after its own end nor after a kill.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  string
		code string
	}{
		"an end of its own":    {"return 1", ""},
		"an exception":         {"raise ValueError", "exception"},
		"a segmentation fault": {"__import__('ctypes').string_at(0)", "killed"},
		"a timeout":            {"time.sleep(60)", "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A child, a daemon that has left every session, a thread: all sleep
			// for an odd time, by which they are found.
			mark := newMark()
			a := execute(t, tight.URL, fmt.Sprintf(`
import os, subprocess, threading, time

def main():
    subprocess.Popen(["sleep", "%[1]s"])
    subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM HUP INT; sleep %[1]s & sleep %[1]s"], start_new_session=True)
    threading.Thread(target=time.sleep, args=(%[1]s,)).start()
    time.sleep(0.2)
    %[2]s
`, mark, c.end))
			left := stack.RunningWith(mark)
			equal(t, "code", a.Code, c.code)
			for _, pid := range left {
				t.Errorf("process %d is left: %s", pid, stack.CommandLine(pid))
			}
		})
	}
}

// newMark is a time to sleep, in seconds, that nobody else sleeps for: by it a
// job's processes are found from outside.
func newMark() string { return fmt.Sprintf("1%09d", time.Now().UnixNano()%1e9) }

// TestCgroupsAreRemoved follows a job's processes to their control groups.
func TestCgroupsAreRemoved(t *testing.T) {
	t.Parallel()
	s := startStack(t, stack.Config{Workers: []stack.Env{workerEnv(stack.Env{"WORKER_CONCURRENCY": "1"})}})
	worker := s.Workers()[0]
	own := stack.CgroupDirs(worker.PID())
	job := submit(t, s.URL, "import time\ndef main():\n    time.sleep(3)\n    return 1\n")
	var dirs []string
	eventually(func() bool {
		if read(t, s.URL, job.JobID, "").Status != "running" {
			return false
		}
		for _, pid := range stack.Descendants(worker.PID()) {
			for _, dir := range stack.CgroupDirs(pid) {
				if !slices.Contains(own, dir) && !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
		}
		return true
	})
	if len(dirs) == 0 {
		t.Skip("jobs have no cgroups of their own on this machine")
	}
	t.Logf("the job's cgroups: %q", dirs)
	a := read(t, s.URL, job.JobID, "?wait=20s")
	equal(t, "status", a.Status, "succeeded")
	if a.Usage == nil || a.Usage.CPUMS == nil || a.Usage.MemoryPeakBytes == nil {
		t.Errorf("usage lacks what cgroups tell: %.500s", a.Body)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the job has ended and %s is there", dir)
		}
	}
	seenCgroups.Lock()
	defer seenCgroups.Unlock()
	for _, dir := range dirs {
		if parent := filepath.Dir(dir); !slices.Contains(own, parent) {
			seenCgroups.dirs = append(seenCgroups.dirs, parent)
		}
		seenCgroups.dirs = append(seenCgroups.dirs, dir)
	}
}

// TestJobsSeeNothingOfEachOther: no file and no random number of one job shows
// in another.
func TestJobsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	script := `
import os, random, ssl, tempfile, uuid
import numpy as np

def main():
    found = sorted(os.listdir("/tmp") + os.listdir("/dev/shm"))
    for place in ("/tmp/left", "/dev/shm/left"):
        with open(place, "w") as f:
            f.write("x")
    numbers = [os.urandom(8).hex(), random.random(), str(uuid.uuid4()), ssl.RAND_bytes(8).hex(),
               np.random.rand(), tempfile.mktemp(), random.getrandbits(64)]
    return {"found": found, "numbers": numbers}
`
	seen := map[string]bool{}
	for range 4 {
		a := execute(t, standard.URL, script)
		like(`^\{"found":\["script\.py"\],`).check(t, "result", string(a.Result))
		var result struct {
			Found   []string `json:"found"`
			Numbers []any    `json:"numbers"`
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

// TestShutdown: asked to end, worker and API end with exit code 0, and the job
// that runs is ended properly first.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s := startStack(t, stack.Config{Workers: []stack.Env{workerEnv(stack.Env{"WORKER_CONCURRENCY": "2"})}})
	job := submit(t, s.URL, "import time\ndef main():\n    time.sleep(2)\n    return 'finished'\n")
	if !eventually(func() bool { return read(t, s.URL, job.JobID, "").Status == "running" }) {
		t.Fatal("the job does not start")
	}
	worker := s.Workers()[0]
	if err := worker.Stop(); err != nil {
		t.Errorf("%v\n%s", err, worker.Log())
	}
	equal(t, "result", string(read(t, s.URL, job.JobID, "").Result), `"finished"`)
	began := time.Now()
	if err := s.API.Stop(); err != nil {
		t.Errorf("%v\n%s", err, s.API.Log())
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the API took %s to end", took)
	}
}
