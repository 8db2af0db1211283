"""Forks a sandbox out of the zygote and confines it, before any user code.

Every step is one that only the zygote's namespace allows; after the last one,
the filter, none of them can be made or undone again. The order matters, and
protocol.md says why.
"""

import ctypes
import gc
import os
import random
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

SIGKILL = 9

# Descriptors as the worker sends them.
_CHANNEL, _STDOUT, _STDERR, FIRST_CGROUP = range(4)
# And where the job has them.
_JOB_CHANNEL = 3

# include/uapi/linux/sched.h
_NEWNS, _NEWCGROUP, _NEWIPC = 0x00020000, 0x02000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_CHILD_CLEARTID, _CHILD_SETTID, _SIGCHLD = 0x00200000, 0x01000000, 17
# include/uapi/linux/mount.h
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
# include/uapi/linux/prctl.h
_SET_DUMPABLE, _CAPBSET_READ, _CAPBSET_DROP = 4, 23, 24
_SET_NO_NEW_PRIVS, _CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_GET_TID_ADDRESS = 40
# include/uapi/linux/seccomp.h
_SECCOMP_MODE_FILTER, _SECCOMP_FILTER_TSYNC = 1, 1
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = 64
# What making a sandbox needs: CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_SYS_ADMIN.
_KEPT = 1 << 6 | 1 << 7 | 1 << 8 | 1 << 21

# The state of the Mersenne Twister: all of its words used, so the next call mixes.
_MT19937_WORDS, _MT19937_BYTES = 624, 2496

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_prctl = _libc.prctl
_srandom = _libc.srandom
# With Python's lock held: in a fork nobody else is there to give it back.
_locked_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_locked_syscall.restype = ctypes.c_long


class _Program(ctypes.Structure):
    """struct sock_fprog (include/uapi/linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _Rlimit(ctypes.Structure):
    """struct rlimit64 (getrlimit(2))."""

    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


class Plan:
    """How each fork is confined; all that can be, is worked out beforehand."""

    def __init__(self, given: dict[str, object]) -> None:
        """Take the worker's plan; protocol.md has its fields."""
        self.preload: list[str] = given["preload"]  # type: ignore[assignment]
        self.init: str = given["init"]  # type: ignore[assignment]
        # Where only one UID can be mapped, a job cannot have one of its own.
        self.single: bool = given["single_uid"]  # type: ignore[assignment]
        self.calls: dict[str, int] = given["syscalls"]  # type: ignore[assignment]
        limits: dict[str, list[int]] = given["rlimits"]  # type: ignore[assignment]
        self.rlimits = [(int(k), _Rlimit(*v)) for k, v in limits.items()]
        self.tmp = f"size={given['tmp_bytes']},nr_inodes=16384,mode=1777".encode()
        with open(given["filter"], "rb") as f:  # type: ignore[call-overload]
            program = f.read()
        self._instructions = ctypes.create_string_buffer(program, len(program))
        address = ctypes.cast(self._instructions, ctypes.c_void_p)
        self.filter = _Program(len(program) // 8, address)
        self.no_capabilities = (ctypes.c_uint32 * 6)()
        self.capability_header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        self.bounding: list[int] = []
        self.own_pids = -1
        self.pid = os.getpid()
        self.tid_address = 0
        self.generator = 0

    def seal(self) -> None:
        """Take what forks need from the zygote's own namespaces. Raises OSError."""
        self.own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self.tid_address = _tid_address()
        self.generator = _numpy_generator()
        # A user namespace of its own has all that the kernel knows; else only what
        # nsjail left is there to be dropped.
        least = 0 if self.single else 1
        self.bounding = [
            c
            for c in range(_CAPABILITIES)
            if _libc.prctl(_CAPBSET_READ, c, 0, 0, 0) >= least
        ]
        if self.single:
            return  # each fork makes a user namespace, with every capability in it
        _forbid_user_namespaces()


def _tid_address() -> int:
    """Where libc keeps the thread's id, for the kernel to write; 0 if unknown.

    The kernel was told by libc itself, to clear it there at the thread's end
    (set_tid_address(2), PR_GET_TID_ADDRESS in prctl(2)).
    """
    address = ctypes.c_void_p()
    failed = _prctl(_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0)
    if failed or not address.value or len(os.listdir("/proc/self/task")) > 1:
        return 0
    told = ctypes.c_int.from_address(address.value).value
    return address.value if told == threading.get_native_id() else 0


def _numpy_generator() -> int:
    """Where numpy keeps the state behind numpy.random's functions; 0 if unknown.

    It is 624 words and a position, as get_state() shows them.
    """
    numpy = sys.modules.get("numpy")
    if not numpy:
        return 0
    try:
        _, words, position, *_ = numpy.random.get_state()
        address: int = numpy.random.mtrand._rand._bit_generator.ctypes.state_address
        shown = words.tobytes() + position.to_bytes(4, sys.byteorder)
        return address if ctypes.string_at(address, len(shown)) == shown else 0
    except (AttributeError, TypeError, ValueError):
        return 0


def _forbid_user_namespaces() -> None:
    """Let no process below make a user namespace: the filter's second lock.

    In one of its own, a process has every capability again. The count belongs
    to the zygote's user namespace (namespaces(7), /proc/sys/user): the
    machine's is not changed. /proc here shows processes only, so a whole one is
    mounted for the moment.
    """
    _mount(b"proc", b"/tmp", b"proc", _NOSUID | _NODEV | _NOEXEC, None)
    try:
        with open("/tmp/sys/user/max_user_namespaces", "w") as f:  # noqa: S108
            f.write("0")
    finally:
        _check(_libc.umount2(b"/tmp", 0), "umount /tmp")


def fork(plan: Plan, uid: int, fds: list[int]) -> tuple[int, int]:
    """Make a namespace with an init and a job's process; give both pids.

    The job's process confines itself and then waits for its script. Raises
    OSError, and leaves nothing, if it cannot be made.
    """
    _check(_libc.unshare(_NEWPID), "unshare pid")
    init = 0
    try:
        # User code must not be pid 1, whose signals are odd; see tinyinit.
        init = os.posix_spawn(plan.init, ["init"], {})
        job = _fork(plan)
        if job == 0:
            _become(plan, uid, fds)
    except OSError:
        if init:
            os.kill(init, SIGKILL)
            os.waitpid(init, 0)
        raise
    finally:
        _check(_libc.setns(plan.own_pids, _NEWPID), "setns pid")
    return init, job


def _fork(plan: Plan) -> int:
    """Fork as os.fork() does, but without what only several threads need.

    Its hooks take locks and make them anew, also in every library that asked for
    it: a millisecond, most of it for pages that have to be copied. A zygote has
    one thread, so no lock is held; the random generators are _reseed's to renew.
    """
    if not plan.tid_address:
        return os.fork()
    # The fourth is the address on x86-64, the fifth on aarch64 (clone(2)); the
    # other one is looked at with CLONE_SETTLS only.
    job: int = _locked_syscall(
        ctypes.c_long(plan.calls["clone"]),
        ctypes.c_long(_CHILD_CLEARTID | _CHILD_SETTID | _SIGCHLD),
        None,
        None,
        ctypes.c_void_p(plan.tid_address),
        ctypes.c_void_p(plan.tid_address),
    )
    if job < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"clone: {os.strerror(code)}")
    if job == 0:
        threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
    return job


def _become(plan: Plan, uid: int, fds: list[int]) -> "NoReturn":
    """The child: confined, then a job like any other."""
    try:
        # Before anything is allocated that should count for the job.
        for fd in fds[FIRST_CGROUP:]:
            os.write(fd, b"0")
        # kill(0, …) reaches a process group across pid namespaces.
        os.setsid()
        _take_descriptors(fds)
        _enter_namespaces(plan)
        _drop_rights(plan, uid)
        _reseed(plan)
        # Off in the zygote only, whose own objects are frozen.
        gc.enable()
        _install_filter(plan)
        from runner.job import run

        run(_JOB_CHANNEL)
    except BaseException as error:
        # Reaches the worker as what was printed by a sandbox that never got ready.
        sys.stderr.write(f"confine: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    os._exit(1)


def _take_descriptors(fds: list[int]) -> None:
    # Opened anew for each job: a shared open file shares its flags and offset.
    null = os.open("/dev/null", os.O_RDONLY)
    for fd, at in ((null, 0), (fds[_STDOUT], 1), (fds[_STDERR], 2)):
        os.dup2(fd, at)
    # Last: the numbers above may lie on 3.
    os.dup2(fds[_CHANNEL], _JOB_CHANNEL, inheritable=False)
    os.closerange(_JOB_CHANNEL + 1, 1 << 20)


def _enter_namespaces(plan: Plan) -> None:
    _check(_libc.unshare(_NEWNS | _NEWIPC | _NEWNET), "unshare")
    # After joining the group, which becomes the root of what the job can see.
    _check(_libc.unshare(_NEWCGROUP), "unshare cgroup")
    flags = _NOSUID | _NODEV
    _mount(b"tmpfs", b"/tmp", b"tmpfs", flags, plan.tmp)
    _mount(b"tmpfs", b"/dev/shm", b"tmpfs", flags | _NOEXEC, plan.tmp)
    # Written to once more where the user namespace is still to come.
    read_only = 0 if plan.single else _RDONLY
    _mount(b"proc", b"/proc", b"proc", flags | _NOEXEC | read_only, b"subset=pid")
    os.chdir("/tmp")  # noqa: S108  (its own)


def _drop_rights(plan: Plan, uid: int) -> None:
    for resource, limit in plan.rlimits:
        _call(plan, "prlimit64", 0, resource, ctypes.byref(limit), None)
    if plan.single:
        _enter_user_namespace(uid)
    else:
        os.setgroups([])
    for capability in plan.bounding:
        _check(_prctl(_CAPBSET_DROP, capability, 0, 0, 0), "capbset")
    _check(_prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "ambient")
    if not plan.single:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    # nsjail sets the inheritable ones as well, which a change of UID leaves.
    _call(plan, "capset", plan.capability_header, plan.no_capabilities)
    _check(_prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    # The change of UID made /proc/self root's.
    _check(_prctl(_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")


def _enter_user_namespace(uid: int) -> None:
    """Be UID uid in a user namespace of its own, with no other in it.

    The namespaces made before belong to the zygote's: the capabilities that this
    one brings count for nothing in them, and are dropped next.
    """
    outside = os.getuid(), os.getgid()
    _check(_libc.unshare(_NEWUSER), "unshare user")
    maps = (
        ("setgroups", "deny"),
        *(
            (f"{kind}_map", f"{uid} {own} 1")
            for kind, own in zip(("uid", "gid"), outside, strict=True)
        ),
    )
    for name, text in maps:
        with open(f"/proc/self/{name}", "w") as f:
            f.write(text)


def _reseed(plan: Plan) -> None:
    """Renew what would be the same in every fork; the hash seed stays shared."""
    random.seed()
    # One generator behind both names in glibc.
    _srandom(int.from_bytes(os.urandom(4), "little"))
    loaded = sys.modules
    if plan.generator:
        # Its functions touch some fifty pages, each of which is then copied.
        fresh = os.urandom(_MT19937_BYTES) + _MT19937_WORDS.to_bytes(4, sys.byteorder)
        ctypes.memmove(plan.generator, fresh, len(fresh))
    elif numpy := loaded.get("numpy"):
        # A number: with none, it takes half a millisecond to gather more.
        numpy.random.seed(int.from_bytes(os.urandom(4), "little"))
    if os.getpid() == plan.pid and (ssl := loaded.get("ssl")):
        # OpenSSL renews its own after a fork, which it knows by the process id.
        ssl.RAND_add(os.urandom(32), 32.0)
    if process := loaded.get("multiprocessing.process"):
        own = process.current_process()
        own.authkey = os.urandom(32)
    if tempfile := loaded.get("tempfile"):
        tempfile._name_sequence = None  # type: ignore[attr-defined]


def _install_filter(plan: Plan) -> None:
    arguments = (_SECCOMP_MODE_FILTER, _SECCOMP_FILTER_TSYNC, ctypes.byref(plan.filter))
    _call(plan, "seccomp", *arguments)


def _mount(
    source: bytes, target: bytes, kind: bytes, flags: int, data: bytes | None
) -> None:
    result = _libc.mount(source, target, kind, ctypes.c_ulong(flags), data)
    _check(result, f"mount {target.decode()}")


def _call(plan: Plan, name: str, *arguments: object) -> None:
    _check(_syscall(ctypes.c_long(plan.calls[name]), *arguments), name)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
