"""The scripts of measure.py: each makes the kernel allocate objects of one kind."""

# Each script defines fill(), which allocates as much as it can in one process, keeps
# it in KEPT and returns the number of objects. PROCESSES run it at the same time.
PRELUDE = """
import ctypes, errno, fcntl, mmap, os, select, signal, socket, struct, tempfile, threading, time
KEPT, PROCESSES = [], 40
libc = ctypes.CDLL(None, use_errno=True)

def descriptors(make, most=220):
    try:
        while len(KEPT) < most:
            KEPT.append(make())
    except OSError as e:
        if not KEPT:
            raise
    return len(KEPT)

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def main():
    r, w = os.pipe()
    if PROCESSES == 1:
        n = fill()
        time.sleep(HOLD)
        return n
    for number in range(PROCESSES):
        if os.fork() == 0:
            os.chdir("/tmp")
            try:
                os.write(w, struct.pack("q", fill()))
            except OSError as e:
                os.write(w, struct.pack("q", -e.errno))
            time.sleep(60)
            os._exit(0)
    counts = [struct.unpack("q", os.read(r, 8))[0] for _ in range(PROCESSES)]
    time.sleep(HOLD)
    got = sum(count for count in counts if count > 0)
    return got or ("refused: " + errno.errorcode[-min(counts)] if min(counts) < 0 else 0)
"""

ALLOCATORS = {
    "nothing": """
PROCESSES = 1
def fill(): return 0
""",
    "processes": """
def fill(): return 1
""",
    "sessions (an autogroup each)": """
def fill():
    os.setsid()
    return 1
""",
    "threads": """
PROCESSES = 1
def fill():
    for n in range(55): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return 55
""",
    "POSIX locks, below the limit": """
PROCESSES = 1
def fill():
    fd = os.open("/tmp/file", os.O_CREAT | os.O_RDWR)
    for start in range(0, 4000, 2): fcntl.lockf(fd, fcntl.LOCK_EX, 1, start)
    return 2000
""",
    "POSIX locks without end": """
def fill():
    fds = [os.open(f"/tmp/{os.getpid()}-{n}", os.O_CREAT | os.O_RDWR) for n in range(100)]
    for start in range(0, 400, 2):
        for fd in fds: fcntl.lockf(fd, fcntl.LOCK_EX, 1, start)
    return 20000
""",
    "locks by flock": """
def fill():
    def make():
        fd = os.open("/tmp/file", os.O_CREAT | os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_SH)
        return fd
    return descriptors(make)
""",
    "open files": """
def fill(): return descriptors(lambda: os.open("/dev/null", os.O_RDONLY))
""",
    "event descriptors": """
def fill(): return descriptors(lambda: call(290, 0, 0))
""",
    "timer descriptors": """
def fill(): return descriptors(lambda: call(283, 1, 0))
""",
    "signal descriptors": """
def fill():
    mask = ctypes.c_uint64(1 << 9)
    return descriptors(lambda: call(289, -1, ctypes.byref(mask), 8, 0))
""",
    "epoll sets": """
def fill(): return descriptors(lambda: call(291, 0))
""",
    "epoll watches": """
def fill():
    ends = [call(290, 0, 0) for _ in range(110)]
    sets = [select.epoll() for _ in range(110)]
    KEPT.extend(sets)
    n = 0
    try:
        for s in sets:
            for e in ends:
                s.register(e)
                n += 1
    except OSError: pass
    return n
""",
    "pipes, empty": """
def fill(): return descriptors(os.pipe, 110)
""",
    "pipes, full": """
def fill():
    def make():
        ends = os.pipe()
        os.set_blocking(ends[1], False)
        while True:
            try: os.write(ends[1], b"x" * 4096)
            except BlockingIOError: return ends
    return descriptors(make, 4)
""",
    "pipes, grown": """
def fill():
    def make():
        ends = os.pipe()
        fcntl.fcntl(ends[1], 1031, 1 << 20)
        return ends
    return descriptors(make, 110)
""",
    "socket pairs, empty": """
def fill(): return descriptors(socket.socketpair, 110)
""",
    "socket pairs, full": """
def fill():
    def make():
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
            try:
                while True: end.send(b"x" * 65536)
            except BlockingIOError: pass
        return ends
    return descriptors(make, 10)
""",
    "socket pairs, full of single bytes": """
def fill():
    def make():
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
            try:
                while True: end.send(b"x")
            except BlockingIOError: pass
        return ends
    return descriptors(make, 40)
""",
    "descriptors in flight": """
def fill():
    sent = 0
    ends = [socket.socketpair() for _ in range(40)]
    KEPT.extend(ends)
    null = os.open("/dev/null", os.O_RDONLY)
    for a, b in ends:
        a.setblocking(False)
        try:
            while True:
                socket.send_fds(a, [b"x"], [null] * 200)
                sent += 200
        except OSError as e:
            if not sent: raise
    return sent
""",
    "asynchronous descriptors (O_ASYNC)": """
def fill():
    def make():
        ends = os.pipe()
        for fd in ends: fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
        return ends
    return descriptors(make, 110)
""",
    "POSIX timers": """
def fill():
    n = 0
    try:
        while n < 20000:
            call(222, 1, None, ctypes.byref(ctypes.c_int(0)))
            n += 1
    except OSError:
        if not n: raise
    return n
""",
    "queued signals": """
def fill():
    signal.pthread_sigmask(signal.SIG_BLOCK, {40})
    libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    n = 0
    while n < 20000 and libc.sigqueue(os.getpid(), 40, None) == 0: n += 1
    if not n: raise OSError(ctypes.get_errno(), "sigqueue")
    return n
""",
    "priority inheritance futexes": """
def fill():
    words = (ctypes.c_int * 4096)()
    KEPT.append(words)
    n = 0
    for i in range(4096):
        call(202, ctypes.byref(words, 4 * i), 6, 0, None, None, 0)
        n += 1
    return n
""",
    "waiting in poll": """
def fill():
    ends = [os.pipe() for _ in range(110)]
    KEPT.extend(ends)
    def wait():
        p = select.poll()
        for a, b in ends: p.register(a, select.POLLIN)
        p.poll()
    threading.Thread(target=wait, daemon=True).start()
    return 110
PROCESSES = 25
""",
    "page tables (a page each 2 MB)": """
PROCESSES = 4
def fill():
    size = 64 << 30
    libc.mmap.restype = ctypes.c_void_p
    at = libc.mmap(None, ctypes.c_size_t(size), 1, 0x4022, -1, ctypes.c_long(0))
    if at in (None, 2**64 - 1): raise OSError(12, "mmap")
    n = 0
    for start in range(0, size, 2 << 20):
        ctypes.c_char.from_address(at + start).value
        n += 1
    return n
""",
    "mappings": """
PROCESSES = 4
def fill():
    n = 0
    libc.mmap.restype = ctypes.c_void_p
    while n < 60000:
        if libc.mmap(None, ctypes.c_size_t(4096), 1 if n % 2 else 0, 0x22, -1, ctypes.c_long(0)) in (None, 2**64 - 1): break
        n += 1
    return n
""",
    "mappings of a file": """
PROCESSES = 4
def fill():
    fd = os.open(os.__file__, os.O_RDONLY)
    n = 0
    libc.mmap.restype = ctypes.c_void_p
    while n < 60000:
        if libc.mmap(None, ctypes.c_size_t(4096), 1 if n % 2 else 0, 2, fd, ctypes.c_long(0)) in (None, 2**64 - 1): break
        n += 1
    return n
""",
    "files in /tmp": """
PROCESSES = 1
def fill():
    n = 0
    try:
        while n < 16000:
            os.close(os.open(f"/tmp/{n}", os.O_CREAT | os.O_RDWR))
            n += 1
    except OSError: pass
    return n
""",
    "files in /tmp with long names": """
PROCESSES = 1
def fill():
    n = 0
    try:
        while n < 16000:
            os.close(os.open(f"/tmp/{n:0200}", os.O_CREAT | os.O_RDWR))
            n += 1
    except OSError: pass
    return n
""",
    "links to a file in /tmp": """
PROCESSES = 1
def fill():
    n = 0
    os.close(os.open("/tmp/file", os.O_CREAT | os.O_RDWR))
    try:
        while n < 60000:
            os.link("/tmp/file", f"/tmp/{n:0200}")
            n += 1
    except OSError: pass
    return n
""",
    "names that do not exist, in /tmp": """
PROCESSES = 1
def fill():
    for n in range(200000): os.path.exists(f"/tmp/{n}")
    return 200000
""",
    "names that do not exist, on shared mounts": """
PROCESSES = 1
def fill():
    mark = time.time_ns()
    for n in range(200000): os.path.exists(f"/usr/lib/{mark}-{n}")
    return 200000
""",
    "long names that do not exist, on shared mounts": """
PROCESSES = 1
def fill():
    mark = time.time_ns()
    for n in range(200000): os.path.exists(f"/usr/lib/{mark}-{n:0200}")
    return 200000
""",
    "shared files looked up": """
PROCESSES = 1
def fill():
    n = 0
    for folder, folders, files in os.walk("/usr"):
        for name in files:
            try:
                os.stat(os.path.join(folder, name))
                n += 1
            except OSError: pass
    return n
""",
    "entries of /proc": """
def fill():
    n = 0
    for folder, folders, files in os.walk("/proc/self/task"):
        for name in files:
            try:
                os.stat(os.path.join(folder, name))
                n += 1
            except OSError: pass
    return n
""",
    "memory files (memfd_create)": """
def fill(): return descriptors(lambda: os.memfd_create("x"))
""",
    "change watches (inotify_init1)": """
def fill(): return descriptors(lambda: call(294, 0))
""",
    "keys (add_key)": """
PROCESSES = 1
def fill(): return call(248, b"user", b"x", b"y", 1, -2)
""",
    "user faults (userfaultfd)": """
PROCESSES = 1
def fill(): return call(323, 0)
""",
    "System V shared memory": """
PROCESSES = 1
def fill(): return call(29, 0, 4096, 0o1600)
""",
    "System V messages": """
PROCESSES = 1
def fill(): return call(68, 0, 0o1600)
""",
    "System V semaphores": """
PROCESSES = 1
def fill(): return call(64, 0, 1, 0o1600)
""",
    "POSIX message queues": """
PROCESSES = 1
def fill(): return call(240, b"x", 0o102, 0o600, None)
""",
    "extended attributes in /tmp": """
PROCESSES = 1
def fill():
    os.close(os.open("/tmp/file", os.O_CREAT | os.O_RDWR))
    os.setxattr("/tmp/file", "user.x", b"x" * 60000)
    return 1
""",
    "filters (seccomp)": """
PROCESSES = 1
def fill(): return call(317, 1, 0, None)
""",
    "user namespaces": """
PROCESSES = 1
def fill(): return call(272, 0x10000000)
""",
    "mounts": """
PROCESSES = 1
def fill(): return call(165, b"x", b"/tmp", b"tmpfs", 0, None)
""",
}
