//go:build compose

package compose

import (
	"encoding/json"
	"testing"
)

// escapes tries what may be possible in a container but not on a machine, and returns the names of the attempts that
// succeeded.
const escapes = `
import ctypes, os, socket, subprocess

libc = ctypes.CDLL(None, use_errno=True)
attempts = {}

def attempt(f):
    attempts[f.__name__] = f

@attempt
def sees_other_processes():
    return [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 2]

@attempt
def has_the_machines_proc():
    return [p for p in ("kcore", "sys", "sysrq-trigger", "keys", "kallsyms") if os.path.exists("/proc/" + p)]

@attempt
def reads_the_first_process():
    return open("/proc/1/environ", "rb").read()

@attempt
def finds_the_programs():
    paths = "/app", "/run/cellblock", "/var/lib/cellblock", "/data", "/sys", "/root", "/home", "/.dockerenv"
    return [p for p in paths if os.path.exists(p)]

@attempt
def writes_the_interpreter():
    written = []
    libraries = os.path.dirname(os.__file__), os.path.dirname(ctypes.__file__)
    for place in (*libraries, "/usr/lib", "/usr/local", "/opt/cellblock", "/runner", "/etc", "/"):
        try:
            open(place + "/planted", "w")
            written.append(place)
        except OSError:
            pass
    return written

@attempt
def makes_a_socket():
    return bool(socket.socket(socket.AF_INET) or socket.socket(socket.AF_UNIX))

@attempt
def makes_a_user_namespace():
    return libc.unshare(0x10000000) == 0

@attempt
def mounts():
    return libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 or libc.mount(b"proc", b"/tmp", b"proc", 0, None) == 0

@attempt
def remounts():
    return libc.mount(None, b"/", None, 0x20 | 0x1000, None) == 0

@attempt
def unmounts_its_proc():
    return libc.umount2(b"/proc", 2) == 0

@attempt
def leaves_its_root():
    return libc.chroot(b"/tmp") == 0 or libc.pivot_root(b"/tmp", b"/tmp") == 0

@attempt
def makes_a_device():
    os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0))
    return bool(open("/tmp/disk", "rb"))

@attempt
def has_capabilities():
    status = dict(l.split(":\t", 1) for l in open("/proc/self/status") if ":\t" in l)
    return [c for c in ("CapPrm", "CapEff", "CapAmb", "CapInh") if int(status[c], 16)]

@attempt
def becomes_root():
    os.setuid(0)
    return True

@attempt
def gains_by_a_setuid_program():
    su = ["/usr/bin/su", "-c", "true"]
    return subprocess.run(su, stdin=subprocess.DEVNULL, capture_output=True, timeout=5).returncode == 0

@attempt
def joins_a_cgroup():
    return any(os.path.isdir(p) for p in ("/sys/fs/cgroup", "/cgroup"))

@attempt
def traces():
    return libc.ptrace(16, 1, 0, 0) == 0

def main():
    worked = {}
    for name, f in attempts.items():
        try:
            if got := f():
                worked[name] = str(got)[:200]
        except (OSError, subprocess.SubprocessError):
            pass
    return {"worked": worked, "tried": len(attempts)}
`

// checkNoEscape runs them in a sandbox with the packages loaded and in a plain one.
func checkNoEscape(t *testing.T, url string) {
	t.Helper()
	for _, more := range []string{"", "# numpy\n"} {
		a := post(t, url, more+escapes, false)
		var got struct {
			Worked map[string]string
			Tried  int
		}
		if err := json.Unmarshal(a.Result, &got); err != nil {
			t.Fatalf("%v: %s", err, a.Body)
		}
		if len(got.Worked) > 0 || got.Tried < 15 {
			t.Errorf("of %d attempts these worked: %v", got.Tried, got.Worked)
		}
	}
}
