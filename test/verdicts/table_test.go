package verdicts

// cell is the expected response to a script. The zero value means the same as in the column with
// cgroups.
type cell struct {
	// code is the error's code, with the signal's name after "killed"; "" for success.
	code string
	// hint is the limit's name in the hint of an exception that the limit caused.
	hint string
	// why explains in the docs why a verdict is not available.
	why string
}

// row is one way to die.
type row struct {
	name   string
	script string
	// cgroups is for machines with cgroups of version 1 or 2, rlimits for those without; the same
	// in warm and cold sandboxes.
	cgroups, rlimits cell
	// sentence must be in the error's sentence, with cgroups.
	sentence string
}

// table runs under limits of 8 s wall time, 1 s of CPU time, 128 MB of memory, 160 MB in /tmp, 16
// processes.
var table = []row{
	{name: "timeout: asleep", script: `
import time
def main():
    time.sleep(60 * SLOW)`, cgroups: cell{code: "timeout"}, sentence: "longer than 8 s"},
	{name: "timeout: stopped by SIGSTOP", script: `
import os, signal
def main():
    os.kill(os.getpid(), signal.SIGSTOP)`, cgroups: cell{code: "timeout"}},
	{name: "timeout: waits for a child that ignores SIGTERM", script: `
import subprocess
def main():
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; sleep 600"], stdout=subprocess.PIPE)
    child.stdout.readline()
    child.terminate()
    child.wait()`, cgroups: cell{code: "timeout"}},
	{name: "timeout: success was forged meanwhile", script: `
import os, struct, time
def main():
    os.write(3, b"R" + struct.pack(">I", 1) + b"1")
    time.sleep(60 * SLOW)`, cgroups: cell{code: "timeout"}},
	{name: "cpu_limit: busy", script: `
def main():
    while True:
        pass`, cgroups: cell{code: "cpu_limit"}, sentence: "1 s of CPU time"},
	{name: "cpu_limit: busy in C code that ignores SIGXCPU", script: `
import re, signal
def main():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    re.match(r"(a+)+$", "a" * 40 + "b")`, cgroups: cell{code: "cpu_limit"}},
	{
		name: "cpu_limit: many busy processes", script: `
import os, time
def main():
    for _ in range(3):
        if os.fork() == 0:
            while time.process_time() < 0.4 * SLOW:
                pass
            os._exit(0)
    for _ in range(3):
        os.wait()`, cgroups: cell{code: "cpu_limit"},
		rlimits: cell{code: "", why: "each process has the limit for itself"},
	},
	{
		name: "memory_limit: objects of Python's", script: `
def main():
    kept = []
    while True:
        kept.append(bytearray(1 << 20))`, cgroups: cell{code: "memory_limit"}, sentence: "128 MiB of memory",
		rlimits: cell{code: "exception", hint: "the memory limit", why: "MemoryError in the script"},
	},
	{
		name: "memory_limit: numpy", script: `
import numpy as np
def main():
    return float(np.ones(40_000_000).sum())`, cgroups: cell{code: "memory_limit"},
		rlimits: cell{code: "exception", hint: "the memory limit", why: "MemoryError in the script"},
	},
	{
		name: "memory_limit: many children, each below the limit", script: `
import os, signal, time
def main():
    for _ in range(8):
        if os.fork() == 0:
            kept = b"x" * (30 << 20)
            signal.pause()
    time.sleep(2 * SLOW)
    return "not seen"`, cgroups: cell{code: "memory_limit"},
		rlimits: cell{code: "", why: "each process has the limit for itself"},
	},
	{
		name: "memory_limit: /tmp filled", script: `
def main():
    for i in range(150):
        with open(f"/tmp/{i}", "wb") as f:
            f.write(b"x" * (1 << 20))
    return "not seen"`, cgroups: cell{code: "memory_limit"},
		rlimits: cell{code: "", why: "files do not count; /tmp has a size of its own"},
	},
	{
		name: "memory_limit: a child is killed, main goes on", script: `
import os
def main():
    if os.fork() == 0:
        kept = []
        while True:
            kept.append(b"x" * (5 << 20))
    os.wait()
    return "not seen"`, cgroups: cell{code: "memory_limit"},
		rlimits: cell{code: "", why: "the child gets a MemoryError of its own"},
	},
	{
		name: "memory_limit: success was forged before", script: `
import os, struct, time
def main():
    os.write(3, b"R" + struct.pack(">I", 1) + b"1")
    kept = []
    while True:
        kept.append(b"x" * (5 << 20))`, cgroups: cell{code: "memory_limit"},
		rlimits: cell{code: "", why: "the forged report stands: nothing was enforced"},
	},
	{
		name: "memory_limit: over time as well", script: `
import os, signal, time
def main():
    if os.fork() == 0:
        time.sleep(1)
        kept = []
        while True:
            kept.append(b"x" * (5 << 20))
    time.sleep(60 * SLOW)`,
		cgroups: cell{code: "memory_limit"}, rlimits: cell{code: "timeout", why: "the clock is what is left"},
	},
	{name: locksRow, script: `
import fcntl, os, time
def main():
    fd = os.open("/tmp/file", os.O_CREAT | os.O_RDWR)
    for start in range(0, 6000, 2):
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, start)
    time.sleep(5 * SLOW)
    return "not seen"`, cgroups: cell{code: "memory_limit"}, sentence: "more than 2048 file locks at once"},
	{name: "no verdict: a MemoryError that the script survives", script: `
def main():
    try:
        bytearray(1 << 60)
    except MemoryError:
        return "survived"`, cgroups: cell{code: ""}},
	{name: "exception: an uncaught MemoryError", script: `
def main():
    bytearray(1 << 60)`, cgroups: cell{code: "exception", hint: "the memory limit"}},
	{
		name: "process_limit: processes", script: `
import os, signal
def main():
    while True:
        if os.fork() == 0:
            signal.pause()`, cgroups: cell{code: "process_limit"}, sentence: "more than 16 processes and threads",
		rlimits: cell{code: "exception", hint: "the process limit", why: "nothing outside counts what was refused"},
	},
	{
		name: "process_limit: threads", script: `
import threading, time
def main():
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()`, cgroups: cell{code: "process_limit"},
		rlimits: cell{code: "exception", hint: "the process limit", why: "nothing outside counts what was refused"},
	},
	{name: "no verdict: the process limit, caught", script: `
import os, signal
def main():
    try:
        while True:
            if os.fork() == 0:
                signal.pause()
    except BlockingIOError:
        return "survived"`, cgroups: cell{code: ""}},
	{name: "exception: another error after the process limit was met", script: `
import os, signal
def main():
    try:
        while True:
            if os.fork() == 0:
                signal.pause()
    except BlockingIOError:
        pass
    raise ValueError("not the limit's fault")`, cgroups: cell{code: "exception"}},
	{name: "exception: a file too large", script: `
def main():
    with open("/tmp/file", "wb") as f:
        f.write(b"x" * (2 << 20))`, cgroups: cell{
		code: "exception", hint: "the file size limit, 1048576 bytes (LIMIT_FILE_MB)",
		why: "no file_size_limit: only the script knows",
	}},
	{
		name: "killed: a file too large, and SIGXFSZ not ignored", script: `
import signal
def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with open("/tmp/file", "wb") as f:
        f.write(b"x" * (2 << 20))`,
		cgroups: cell{code: "killed SIGXFSZ"}, sentence: "more than 1048576 bytes (LIMIT_FILE_MB)",
	},
	{name: "result_too_large", script: `
def main():
    return "x" * (1 << 20)`, cgroups: cell{code: "result_too_large"}, sentence: "more than 64 KiB"},
	{name: "result_too_large: the head of a forged frame", script: `
import os, struct, time
def main():
    os.write(3, b"R" + struct.pack(">I", 2**32 - 1))
    time.sleep(60 * SLOW)`, cgroups: cell{code: "result_too_large"}},
	{name: "files_too_large: too many in outputs/", script: `
import os
def main():
    os.mkdir("outputs")
    for i in range(65):
        open(f"outputs/{i}", "w").close()`, cgroups: cell{code: "files_too_large"}, sentence: "more than 64 files"},
	{name: "files_too_large: the head of a forged frame", script: `
import os, time
def main():
    os.write(3, b"F\xff\xff\xff\xff\0\1a")
    time.sleep(60 * SLOW)`, cgroups: cell{code: "files_too_large"}},
	{name: "killed: a segmentation fault", script: `
import ctypes
def main():
    ctypes.string_at(0)`, cgroups: cell{code: "killed SIGSEGV"}, sentence: "SIGSEGV"},
	{name: "killed: abort", script: `
import os
def main():
    os.abort()`, cgroups: cell{code: "killed SIGABRT"}},
	{name: "killed: SIGKILL to itself", script: `
import os, signal
def main():
    os.kill(os.getpid(), signal.SIGKILL)`, cgroups: cell{code: "killed SIGKILL"}},
	{name: "killed: SIGXCPU to itself is no cpu_limit", script: `
import os, signal
def main():
    os.kill(os.getpid(), signal.SIGXCPU)`, cgroups: cell{code: "killed SIGXCPU"}},
	{name: "killed: success was forged before", script: `
import os, signal, struct
def main():
    os.write(3, b"R" + struct.pack(">I", 1) + b"1")
    os.kill(os.getpid(), signal.SIGKILL)`, cgroups: cell{code: "killed SIGKILL"}},
	{name: "exit: os._exit(0)", script: `
import os
def main():
    os._exit(0)`, cgroups: cell{code: "exit"}},
}

// locksRow counts locks, for which a kernel must have /proc/locks.
const locksRow = "memory_limit: file locks"

// inGVisor are the cells that differ there from the column “rlimits only”. docs/gvisor.md has them in words.
var inGVisor = map[string]cell{locksRow: {code: "", why: "it does not list them"}}

// want returns the expectation of a column for a row.
func (r row) want(rlimitsOnly bool) cell {
	if rlimitsOnly && (r.rlimits != cell{}) {
		return r.rlimits
	}
	return r.cgroups
}
