package escape

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// TestNoSharedNumbers checks that no random number of one job appears in another, for every generator. Forks of one
// interpreter share their state.
func TestNoSharedNumbers(t *testing.T) {
	const script = `
import ctypes, multiprocessing, os, random, secrets, ssl, tempfile, uuid
import numpy as np

def main():
    libc = ctypes.CDLL(None)
    return [os.urandom(8).hex(), str(random.random()), str(random.getrandbits(64)), str(uuid.uuid4()),
            secrets.token_hex(8), ssl.RAND_bytes(8).hex(),
            str(np.random.rand()), str(np.random.default_rng().random()),
            tempfile.mktemp(), multiprocessing.current_process().authkey.hex(),
            str([libc.rand() for _ in range(3)]), str([libc.random() for _ in range(3)])]
`
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			seen := map[string]bool{}
			for range 5 {
				var numbers []string
				got := execute(t, k.standard, script, nil)
				if err := json.Unmarshal(got.Result, &numbers); err != nil {
					t.Fatalf("%v: %s", err, got.body)
				}
				for i, number := range numbers {
					// A cold interpreter never seeds libc's generator: rand() is the same in every program.
					if libc := i >= len(numbers)-2; seen[fmt.Sprint(i, number)] && (k.name == "warm" || !libc) {
						t.Errorf("two jobs drew the same number %d: %s", i, number)
					}
					seen[fmt.Sprint(i, number)] = true
				}
			}
			fmt.Printf("held   %s  no shared random numbers\n", k.name)
		})
	}
}

// TestFairShares runs two jobs that are busy for ten seconds on one processor. Each must get half, although the second
// has four processes. The machine may have other work, so only their ratio counts.
func TestFairShares(t *testing.T) {
	const script = `
import os, time

def main():
    for _ in range(%d):
        if os.fork() == 0:
            while True:
                pass
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pass
`
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			narrow := startOnOneProcessor(t, k.name)
			var one, other answer
			var both sync.WaitGroup
			both.Go(func() { one = execute(t, narrow, fmt.Sprintf(script, 0), nil) })
			both.Go(func() { other = execute(t, narrow, fmt.Sprintf(script, 3), nil) })
			both.Wait()
			if one.Usage.CPUMS == nil || other.Usage.CPUMS == nil {
				t.Fatalf("no usage: %s %s", one.body, other.body)
			}
			share := *one.Usage.CPUMS / (*one.Usage.CPUMS + *other.Usage.CPUMS)
			if hasCgroups(t) && (share < 0.4 || share > 0.6) {
				t.Errorf("of two busy jobs one got %.0f%% (%s, %s)", 100*share, one.body, other.body)
			}
			fmt.Printf("held   %s  two busy jobs on one processor: %.0f%% and %.0f%%\n", k.name,
				100*share, 100*(1-share))
		})
	}
}

// startOnOneProcessor starts a stack whose worker, and all of its processes, run on the first processor only. It is
// stopped after the test.
func startOnOneProcessor(t *testing.T, sandbox string) *stack.Stack {
	t.Helper()
	narrow := filepath.Join(t.TempDir(), "worker")
	text := fmt.Sprintf("#!/bin/sh\nexec taskset --cpu-list 0 '%s' \"$@\"\n", programs.Worker)
	if err := os.WriteFile(narrow, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	wait := stack.Scaled(30 * time.Second).String()
	worker := stack.Env{
		"SANDBOX": sandbox, "WORKER_CONCURRENCY": "2", "LIMIT_WALL": wait, "LIMIT_CPU": wait,
		"DRAIN_TIMEOUT": stack.Scaled(time.Minute).String(),
	}
	maps.Copy(worker, environment.Settings())
	return stack.StartFor(t, stack.Config{
		Programs: stack.Programs{API: programs.API, Worker: narrow}, API: stack.Env{"SYNC_WAIT": wait},
		Workers: []stack.Env{worker},
	})
}

// TestLatencyBesideABomb checks that a fork bomb in another sandbox at most doubles the time of a job that computes
// for a while.
func TestLatencyBesideABomb(t *testing.T) {
	const work = "def main():\n    return sum(range(6_000_000))\n"
	bomb := fmt.Sprintf(`
import os, time

def main():
    end = time.monotonic() + %.0f
    while time.monotonic() < end:
        try:
            os.fork()
        except OSError:
            pass
`, stack.Scaled(6*time.Second).Seconds())
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			// The machine may have other work that slows the job down.
			const attempts = 5
			factor := math.Inf(1)
			for range attempts {
				if factor = min(factor, runBesideBomb(t, k.standard, work, bomb)); factor <= 2 {
					break
				}
			}
			if hasCgroups(t) && factor > 2 {
				t.Errorf("beside a fork bomb a job takes %.1f times as long", factor)
			}
			fmt.Printf("held   %s  beside a fork bomb: %.1f times as long\n", k.name, factor)
		})
	}
}

// runBesideBomb returns the ratio of work's time beside the bomb to its time alone; infinity if the bomb ended before
// the measurement did.
func runBesideBomb(t *testing.T, s *stack.Stack, work, bomb string) float64 {
	t.Helper()
	alone := waitTime(t, s, work)
	var bombing sync.WaitGroup
	ended := make(chan struct{})
	bombing.Go(func() {
		defer close(ended)
		execute(t, s, bomb, nil)
	})
	defer bombing.Wait()
	time.Sleep(500 * time.Millisecond) // the bomb is at its limit by then
	beside := waitTime(t, s, work)
	select {
	case <-ended:
		return math.Inf(1)
	default:
		return beside / alone
	}
}

// waitTime runs a script a few times in sequence, and returns the median of the ratio of the response's time to the
// script's own processor time. Seconds would also measure the processor's speed, which varies on a shared machine, and
// halves when the two processors are threads of one core and the bomb uses the other.
func waitTime(t *testing.T, s *stack.Stack, script string) float64 {
	t.Helper()
	var times []float64
	for range 7 {
		began := time.Now()
		got := execute(t, s, script, nil)
		took := time.Since(began)
		if got.Code != "" || got.Usage.CPUMS == nil {
			t.Fatalf("%s", got.body)
		}
		times = append(times, float64(took)/float64(time.Millisecond) / *got.Usage.CPUMS)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// TestOwnNamespaces checks that two concurrent jobs share none of the namespaces that isolate them. Warm ones share
// the zygote's user and uts namespaces.
func TestOwnNamespaces(t *testing.T) {
	names := "mnt pid ipc net user uts"
	if !stack.InGVisor() { // it has none of them
		names += " cgroup"
	}
	script := fmt.Sprintf(`
import os, time

def main():
    time.sleep(1)
    return {name: os.readlink("/proc/self/ns/" + name) for name in %q.split()}
`, names)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var answers [2]answer
			var both sync.WaitGroup
			for i := range answers {
				both.Go(func() { answers[i] = execute(t, k.standard, script, nil) })
			}
			both.Wait()
			var spaces [2]map[string]string
			for i, got := range answers {
				if err := json.Unmarshal(got.Result, &spaces[i]); err != nil {
					t.Fatalf("%v: %s", err, got.body)
				}
			}
			for name, id := range spaces[0] {
				shared := k.name == "warm" && (name == "user" || name == "uts")
				own, _ := os.Readlink("/proc/self/ns/" + name)
				if id == spaces[1][name] && !shared || id == own {
					t.Errorf("the %s namespace is shared: %s", name, id)
				}
			}
			fmt.Printf("held   %s  namespaces of its own\n", k.name)
		})
	}
}

// leavesSockets ends while a child of its own holds sockets with unread data. It returns its network namespace.
const leavesSockets = `
import os, socket, time

def main():
    kept = [socket.socketpair() for _ in range(10)]
    for pair in kept:
        pair[0].send(b"unread")
    if os.fork() == 0:
        time.sleep(300)
    return os.readlink("/proc/self/ns/net")
`

// seesSockets returns its network namespace and what it sees of sockets there.
const seesSockets = `
import os

def main():
    table = open("/proc/self/net/unix").read().splitlines()[1:]
    used = open("/proc/self/net/sockstat").read().splitlines()[0]
    return [os.readlink("/proc/self/ns/net"), used, *table]
`

// TestNetworksAreHandedOnEmpty checks that a network namespace has nothing of the job that used it before.
func TestNetworksAreHandedOnEmpty(t *testing.T) {
	if stack.InGVisor() {
		t.Skip("inside gVisor each sandbox has a new one")
	}
	for _, k := range kinds {
		if k.name != "warm" {
			continue
		}
		used, handedOn := map[string]bool{}, 0
		for range 40 {
			var id string
			if got := execute(t, k.standard, leavesSockets, nil); json.Unmarshal(got.Result, &id) != nil {
				t.Fatal(got.body)
			}
			used[id] = true
			var seen []string
			got := execute(t, k.standard, seesSockets, nil)
			if json.Unmarshal(got.Result, &seen) != nil || len(seen) < 2 {
				t.Fatal(got.body)
			}
			if used[seen[0]] {
				handedOn++
			}
			if len(seen) > 2 || seen[1] != "sockets: used 0" {
				t.Errorf("a job sees sockets of an earlier one: %q", seen)
			}
		}
		if handedOn == 0 {
			t.Error("no network namespace was used twice")
		}
		fmt.Printf("held   %s  network namespaces handed on\n", k.name)
	}
}

// TestSecondLock checks that no user namespace can be created below a zygote's, whatever the filter allows. The number
// read is that of the reader's own user namespace.
func TestSecondLock(t *testing.T) {
	if stack.InGVisor() {
		t.Skip("gVisor has no setting for it: the filter alone forbids user namespaces")
	}
	for _, k := range kinds {
		if k.name != "warm" {
			continue
		}
		zygotes := stack.ProcessesMatching("/runner/main.py zygote")
		if len(zygotes) == 0 {
			t.Fatal("no zygote runs")
		}
		for _, pid := range zygotes {
			if !slices.Contains(stack.Descendants(k.standard.Workers()[0].PID()), pid) {
				continue
			}
			user, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
			if own, _ := os.Readlink("/proc/self/ns/user"); user == own || user == "" {
				continue // nsjail, whose command line contains the same text
			}
			out, err := exec.CommandContext(t.Context(), "nsenter", "-t", strconv.Itoa(pid), "-U", "cat",
				"/proc/sys/user/max_user_namespaces").CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "0" {
				t.Errorf("below process %d this many user namespaces can be made: %s (%v)", pid, out, err)
			}
		}
		fmt.Println("held   warm  no user namespaces below a zygote")
	}
}
