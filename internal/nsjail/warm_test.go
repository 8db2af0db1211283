package nsjail

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
)

// openWarm opens warm sandboxes with the given change to the default settings.
func openWarm(t testing.TB, ready int, change func(*Settings)) *Warm {
	t.Helper()
	cold := openCold(t, change)
	warm, err := NewWarm(t.Context(), cold.host, ready, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(warm.Close)
	return warm
}

// value runs a script that must succeed and decodes what it returned.
func value[T any](t testing.TB, provider Provider, script string) T {
	t.Helper()
	o := run(t, provider, script)
	if o.Failure != nil {
		t.Fatalf("%+v\nstderr: %s", *o.Failure, o.Stderr)
	}
	var v T
	if err := json.Unmarshal(o.Result, &v); err != nil {
		t.Fatalf("%s: %v", o.Result, err)
	}
	return v
}

const lookInside = `
import os, resource
def main():
    with open("/proc/self/status") as f:
        status = dict(l.rstrip("\n").split(":\t", 1) for l in f if ":\t" in l)
    fds = {}
    for fd in os.listdir("/proc/self/fd"):
        try: fds[fd] = os.readlink("/proc/self/fd/" + fd)
        except OSError: pass
    return {
        "caps": [status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "nnp": status["NoNewPrivs"], "seccomp": status["Seccomp"], "groups": status["Groups"].strip(),
        "pid": os.getpid(), "sid": os.getsid(0), "pgid": os.getpgid(0),
        "pids": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
        "fds": sorted(int(fd) for fd, to in fds.items() if not to.startswith("/proc/")), "cwd": os.getcwd(), "tmp": os.listdir("/tmp"),
        "cgroup": open("/proc/self/cgroup").read(),
        "limits": {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n)) for n in ("CPU", "FSIZE", "NPROC", "NOFILE", "CORE", "STACK", "MSGQUEUE")},
        "mounts": sorted(l.split()[1] + " " + l.split()[3].split(",")[0] for l in open("/proc/self/mounts")),
    }
`

type inside struct {
	Caps                 []string
	NNP, Seccomp, Groups string
	PID, SID, PGID       int
	PIDs, FDs            []int
	Cwd, Cgroup          string
	Tmp, Mounts          []string
	Limits               map[string][2]int64
}

// Both kinds look the same from inside: no privileges, and nothing of other jobs.
func TestInside(t *testing.T) {
	t.Parallel()
	inBothKinds(t, nil, func(t *testing.T, provider Provider) {
		o := run(t, provider, lookInside)
		if o.Failure != nil {
			t.Fatalf("%+v", *o.Failure)
		}
		var in inside
		if err := json.Unmarshal(o.Result, &in, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		for _, set := range in.Caps {
			if strings.Trim(set, "0") != "" {
				t.Errorf("capabilities: %v", in.Caps)
			}
		}
		if in.NNP != "1" || in.Seccomp != "2" || in.Groups != "" {
			t.Errorf("no_new_privs %s, seccomp %s, groups %q", in.NNP, in.Seccomp, in.Groups)
		}
		if in.PID != 2 || in.SID != 2 || in.PGID != 2 || len(in.PIDs) != 2 {
			t.Errorf("pid %d, session %d, group %d, sees %v", in.PID, in.SID, in.PGID, in.PIDs)
		}
		if len(in.FDs) != 4 || in.FDs[3] != 3 {
			t.Errorf("descriptors %v", in.FDs)
		}
		slices.Sort(in.Tmp)
		if in.Cwd != "/tmp" || !slices.Equal(in.Tmp, []string{".tmp", "outputs", "script.py"}) {
			t.Errorf("cwd %s with %v", in.Cwd, in.Tmp)
		}
		// The cgroup namespace of a cold sandbox is made before it joins its group.
		for line := range strings.Lines(in.Cgroup) {
			if provider.Kind() == KindCold {
				break
			}
			if path := strings.TrimSpace(line[strings.LastIndex(line, ":")+1:]); strings.Contains(path, "cellblock") {
				t.Errorf("it sees its group's path: %s", line)
			}
		}
		wantLimits := map[string][2]int64{
			"CPU": {11, 11}, "FSIZE": {1 << 20, 1 << 20}, "NOFILE": {256, 256}, "CORE": {0, 0}, "STACK": {8 << 20, 8 << 20}, "MSGQUEUE": {0, 0},
		}
		for name, want := range wantLimits {
			if in.Limits[name] != want {
				t.Errorf("RLIMIT_%s %v, want %v", name, in.Limits[name], want)
			}
		}
		for _, m := range in.Mounts {
			point, mode, _ := strings.Cut(m, " ")
			if writable := point == "/tmp" || point == "/dev/shm"; (mode == "rw") != writable {
				t.Errorf("mount %s is %s", point, mode)
			}
		}
	})
}

// Forks of one zygote would share this randomness if it were not renewed in each.
func TestWarmRandomness(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 2, nil)
	for _, preloaded := range []string{"numpy", "none of them"} {
		script := "# " + preloaded + `
import ctypes, multiprocessing.process, os, random, ssl, tempfile, uuid
def main():
    libc = ctypes.CDLL(None)
    out = {
        "random": random.random(), "ssl": ssl.RAND_bytes(8).hex(), "uuid1": str(uuid.uuid1()), "uuid4": str(uuid.uuid4()),
        "tempfile": tempfile.mktemp(), "authkey": multiprocessing.process.current_process().authkey.hex(),
        "rand": libc.rand(), "urandom": os.urandom(8).hex(),
    }
    try:
        import numpy
        out["numpy"] = numpy.random.random()
        out["default_rng"] = numpy.random.default_rng().random()
    except ImportError:
        pass
    return out
`
		first, second := value[map[string]any](t, warm, script), value[map[string]any](t, warm, script)
		for name := range first {
			if first[name] == second[name] {
				t.Errorf("%s is %v in both", name, first[name])
			}
		}
	}
}

// Two jobs run at once, and each tries to find the other.
func TestWarmNeighbours(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 2, func(s *Settings) { s.Wall = 4 * time.Second })
	const victim = `
import os, signal, time
def main():
    got = []
    for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT):
        signal.signal(s, lambda n, f: got.append(n))
    open("/tmp/secret", "w").write("secret")
    open("/dev/shm/secret", "w").write("secret")
    end = time.monotonic() + 2
    while time.monotonic() < end: time.sleep(0.01)
    return [got, sorted(os.listdir("/dev/shm"))]
`
	const attacker = `
import os, signal, time
def attempt(f, *a):
    try: f(*a)
    except OSError as e: return e.errno
    return 0
def main():
    time.sleep(0.5)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    for pid in (0, -1, *range(3, 200)):
        attempt(os.kill, pid, signal.SIGTERM)
        attempt(os.kill, pid, signal.SIGUSR1)
    seen = [p for p in os.listdir("/proc") if p.isdigit()]
    return {"seen": seen, "tmp": sorted(os.listdir("/tmp")), "shm": os.listdir("/dev/shm"),
            "init": [attempt(open, "/proc/1/mem", "rb"), attempt(os.listdir, "/proc/1/fd"), attempt(os.readlink, "/proc/1/root")],
            "unix": sum(1 for _ in open("/proc/net/unix")) if os.path.exists("/proc/net/unix") else 0}
`
	var victims, attackers jobs.Outcome
	var both sync.WaitGroup
	both.Go(func() { victims = run(t, warm, victim) })
	both.Go(func() { attackers = run(t, warm, attacker) })
	both.Wait()
	if victims.Failure != nil || string(victims.Result) != `[[],[".matplotlib","secret"]]` && string(victims.Result) != `[[], [".matplotlib", "secret"]]` {
		t.Errorf("the victim: %s %+v", victims.Result, victims.Failure)
	}
	if attackers.Failure != nil {
		t.Fatalf("%+v", *attackers.Failure)
	}
	want := `{"seen":["1","2"],"tmp":[".tmp","outputs","script.py"],"shm":[".matplotlib"],"init":[13,13,13],"unix":1}`
	got := strings.NewReplacer(": ", ":", ", ", ",").Replace(string(attackers.Result))
	if got != want && got != strings.Replace(want, `"unix":1`, `"unix":0`, 1) {
		t.Errorf("the attacker saw %s", got)
	}
}

// kill(0, SIGKILL) reaches a process group across pid namespaces.
func TestWarmKillOfItsGroup(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 3, nil)
	var neighbour jobs.Outcome
	var both sync.WaitGroup
	both.Go(func() { neighbour = run(t, warm, "import time\ndef main(): time.sleep(1); return 'alive'") })
	o := run(t, warm, "import os\ndef main(): os.kill(0, 9)")
	both.Wait()
	if code(o) != jobs.CodeKilled || o.Failure.Signal != "SIGKILL" {
		t.Errorf("the killer: %+v", o.Failure)
	}
	if string(neighbour.Result) != `"alive"` {
		t.Errorf("the neighbour: %+v", neighbour.Failure)
	}
}

// A zygote that is killed or stopped is replaced, and the verdict of the job that ran in it is
// true.
func TestWarmZygoteDies(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]unix.Signal{"killed": unix.SIGKILL, "stopped": unix.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			warm := openWarm(t, 1, func(s *Settings) { s.Preload = nil; s.Wall = 3 * time.Second })
			s, err := warm.Acquire(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			zygote := s.processes.(*fork).zygote
			go func() {
				time.Sleep(200 * time.Millisecond) // the script is running by then
				for _, pid := range childrenOf(t, zygote.jail.cmd.Process.Pid) {
					_ = unix.Kill(pid, signal)
				}
			}()
			o := s.Run(t.Context(), "import time\ndef main(): time.sleep(60)", nil)
			if want := map[unix.Signal]jobs.Code{unix.SIGKILL: jobs.CodeInternal, unix.SIGSTOP: jobs.CodeTimeout}[signal]; code(o) != want {
				t.Errorf("got %q, want %q", code(o), want)
			}
			// The forks prepared before may die with it; the next one does not.
			if got := value[int](t, warm, "def main(): return 7"); got != 7 {
				t.Errorf("got %d", got)
			}
		})
	}
}

func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var children []int
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(content[strings.LastIndex(string(content), ")")+1:]))
		if fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(strings.Split(file, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// A zygote is replaced after its number of jobs, and no job notices.
func TestWarmZygoteIsRecycled(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 2, func(s *Settings) { s.Preload = nil; s.ZygoteJobs = 4 })
	zygotes := map[*zygote]bool{}
	for range 26 {
		s, err := warm.Acquire(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		zygotes[s.processes.(*fork).zygote] = true
		if o := s.Run(t.Context(), "def main(): return 1", nil); o.Failure != nil {
			t.Fatalf("%+v", *o.Failure)
		}
	}
	if len(zygotes) < 3 { // each serves 4 to 8 jobs
		t.Errorf("%d zygotes served 26 jobs", len(zygotes))
	}
}
