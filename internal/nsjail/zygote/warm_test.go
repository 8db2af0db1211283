package zygote

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"cellblock/internal/jobs"
	"cellblock/internal/nsjail/host"
	"cellblock/internal/nsjail/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are those of a host and of its zygotes.
type settings struct {
	host.Settings `embed:""`
	Zygote        Settings `embed:""`
}

// openWarm opens warm sandboxes with the given change to the default settings.
func openWarm(t testing.TB, ready int, change func(*settings)) *Provider {
	t.Helper()
	return openLogged(t, ready, sandboxtest.Logger(t), change)
}

func openLogged(t testing.TB, ready int, logger *slog.Logger, change func(*settings)) *Provider {
	t.Helper()
	s := sandboxtest.Defaults[settings](t)
	if change != nil {
		change(&s)
	}
	p, err := NewProvider(t.Context(), sandboxtest.OpenHost(t, s.Settings), s.Zygote, ready, logger, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// acquirePlain acquires a sandbox of the plain pool, which has no packages loaded.
func acquirePlain(t *testing.T, warm *Provider) *readySandbox {
	t.Helper()
	s, err := warm.plain.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
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
        "random": random.random(), "ssl": ssl.RAND_bytes(8).hex(), "uuid1": str(uuid.uuid1()),
        "uuid4": str(uuid.uuid4()), "tempfile": tempfile.mktemp(),
        "authkey": multiprocessing.process.current_process().authkey.hex(),
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
		first := sandboxtest.Value[map[string]any](t, warm, script)
		second := sandboxtest.Value[map[string]any](t, warm, script)
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
	warm := openWarm(t, 2, func(s *settings) { s.Wall = 4 * time.Second })
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
            "init": [attempt(open, "/proc/1/mem", "rb"), attempt(os.listdir, "/proc/1/fd"),
                     attempt(os.readlink, "/proc/1/root")],
            "unix": sum(1 for _ in open("/proc/net/unix")) if os.path.exists("/proc/net/unix") else 0}
`
	var victims, attackers jobs.Outcome
	var both sync.WaitGroup
	both.Go(func() { victims = sandboxtest.Run(t, warm, victim) })
	both.Go(func() { attackers = sandboxtest.Run(t, warm, attacker) })
	both.Wait()
	compact := strings.NewReplacer(": ", ":", ", ", ",")
	if victims.Failure != nil || compact.Replace(string(victims.Result)) != `[[],[".matplotlib","secret"]]` {
		t.Errorf("the victim: %s %+v", victims.Result, victims.Failure)
	}
	if attackers.Failure != nil {
		t.Fatalf("%+v", *attackers.Failure)
	}
	want := `{"seen":["1","2"],"tmp":[".tmp","outputs","script.py"],"shm":[".matplotlib"],"init":[13,13,13],"unix":1}`
	got := compact.Replace(string(attackers.Result))
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
	both.Go(func() { neighbour = sandboxtest.Run(t, warm, "import time\ndef main(): time.sleep(1); return 'alive'") })
	o := sandboxtest.Run(t, warm, "import os\ndef main(): os.kill(0, 9)")
	both.Wait()
	if sandboxtest.Code(o) != jobs.CodeKilled || o.Failure.Signal != "SIGKILL" {
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
			warm := openWarm(t, 1, func(s *settings) { s.Zygote.Preload = nil; s.Wall = 3 * time.Second })
			s := acquirePlain(t, warm)
			zygote := s.fork.zygote
			go func() {
				time.Sleep(200 * time.Millisecond) // the script is running by then
				for _, pid := range sandboxtest.ChildrenOf(t, zygote.jail.PID()) {
					_ = unix.Kill(pid, signal)
				}
			}()
			o := s.Run(t.Context(), "import time\ndef main(): time.sleep(60)", jobs.EntryMain, nil)
			want := map[unix.Signal]jobs.Code{unix.SIGKILL: jobs.CodeWorkerLost, unix.SIGSTOP: jobs.CodeTimeout}[signal]
			if sandboxtest.Code(o) != want {
				t.Errorf("got %q, want %q", sandboxtest.Code(o), want)
			}
			// The forks prepared before may die with it; the next one does not.
			if got := sandboxtest.Value[int](t, warm, "def main(): return 7"); got != 7 {
				t.Errorf("got %d", got)
			}
		})
	}
}

// A zygote is replaced after its number of jobs, and no job notices.
func TestWarmZygoteIsRecycled(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 2, func(s *settings) { s.Zygote.Preload = nil; s.Zygote.Jobs = 4 })
	zygotes := map[*zygote]bool{}
	for range 26 {
		s := acquirePlain(t, warm)
		zygotes[s.fork.zygote] = true
		if o := s.Run(t.Context(), "def main(): return 1", jobs.EntryMain, nil); o.Failure != nil {
			t.Fatalf("%+v", *o.Failure)
		}
	}
	if len(zygotes) < 3 { // each serves 4 to 8 jobs
		t.Errorf("%d zygotes served 26 jobs", len(zygotes))
	}
}
