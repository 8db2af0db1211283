"""Forks a sandbox from the zygote and confines it before any user code runs.

Only the zygote's namespace allows these steps. The last one, the filter, makes it
impossible to repeat or undo them. Their order matters; protocol.md has the reasons.
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

# Order of the descriptors that the worker sends.
_CHANNEL, _STDOUT, _STDERR, FIRST_CGROUP = range(4)
# The number of the channel in the job.
_JOB_CHANNEL = 3

# include/uapi/linux/sched.h
_NEWNS, _NEWCGROUP, _NEWIPC = 0x00020000, 0x02000000, 0x08000000
_NEWUSER, _NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
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

# The state of the Mersenne Twister. With all words used, the next call mixes them.
_MT19937_WORDS, _MT19937_BYTES = 624, 2496

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_prctl = _libc.prctl
_srandom = _libc.srandom
# Keeps Python's lock (GIL): a fork has no other thread that could release it.
_locked_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_locked_syscall.restype = ctypes.c_long


class _Program(ctypes.Structure):
    """struct sock_fprog (include/uapi/linux/filter.h)."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class _Rlimit(ctypes.Structure):
    """struct rlimit64 (getrlimit(2))."""

    _fields_ = (("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64))


class Plan:
    """How each fork is confined, prepared once for all forks."""

    def __init__(self, fields: dict[str, object]) -> None:
        """Read the worker's plan; protocol.md describes its fields."""
        self.preload: list[str] = fields["preload"]  # type: ignore[assignment]
        self.exercises: list[str] = fields.get("exercises", [])  # type: ignore[assignment]
        self.init: str = fields["init"]  # type: ignore[assignment]
        # With a single UID to map, jobs cannot have UIDs that differ outside.
        self.single_uid: bool = fields["single_uid"]  # type: ignore[assignment]
        # gVisor has no cgroup namespaces, and no setting that forbids user namespaces.
        self.gvisor: bool = fields["gvisor"]  # type: ignore[assignment]
        self.syscall_numbers: dict[str, int] = fields["syscalls"]  # type: ignore[assignment]
        limits: dict[str, list[int]] = fields["rlimits"]  # type: ignore[assignment]
        self.rlimits = [(int(k), _Rlimit(*v)) for k, v in limits.items()]
        self.tmp = f"size={fields['tmp_bytes']},nr_inodes=16384,mode=1777".encode()
        with open(fields["filter"], "rb") as f:  # type: ignore[call-overload]
            program = f.read()
        self._instructions = ctypes.create_string_buffer(program, len(program))
        address = ctypes.cast(self._instructions, ctypes.c_void_p)
        self.filter = _Program(len(program) // 8, address)
        self.no_capabilities = (ctypes.c_uint32 * 6)()
        self.capability_header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        self.bounding: list[int] = []
        self.own_pid_namespace = -1
        self.pid = os.getpid()
        self.tid_address = 0
        self.numpy_state = 0

    def seal(self) -> None:
        """Open and look up what forks need from the zygote. Raises OSError."""
        self.own_pid_namespace = os.open(
            "/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC
        )
        self.tid_address = _tid_address()
        self.numpy_state = _numpy_state_address()
        # A new user namespace has every capability that the kernel knows. Without one,
        # only those that nsjail left can be dropped.
        wanted = 0 if self.single_uid else 1
        self.bounding = [
            c
            for c in range(_CAPABILITIES)
            if _libc.prctl(_CAPBSET_READ, c, 0, 0, 0) >= wanted
        ]
        # With a single UID, each fork makes a user namespace with every capability.
        if not (self.single_uid or self.gvisor):
            _forbid_user_namespaces()


def _tid_address() -> int:
    """Return the address at which libc keeps the thread's id; 0 if unknown.

    libc registered it with the kernel, which clears it when the thread ends
    (set_tid_address(2), PR_GET_TID_ADDRESS in prctl(2)).
    """
    address = ctypes.c_void_p()
    failed = _prctl(_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0)
    if failed or not address.value or len(os.listdir("/proc/self/task")) > 1:
        return 0
    registered = ctypes.c_int.from_address(address.value).value
    return address.value if registered == threading.get_native_id() else 0


def _numpy_state_address() -> int:
    """Return the address of the state of numpy.random's functions; 0 if unknown.

    It is 624 words and a position, as in get_state().
    """
    numpy = sys.modules.get("numpy")
    if not numpy:
        return 0
    try:
        _, words, position, *_ = numpy.random.get_state()
        address: int = numpy.random.mtrand._rand._bit_generator.ctypes.state_address
        state = words.tobytes() + position.to_bytes(4, sys.byteorder)
        return address if ctypes.string_at(address, len(state)) == state else 0
    except (AttributeError, TypeError, ValueError):
        return 0


def _forbid_user_namespaces() -> None:
    """Forbid user namespaces to all processes below, in addition to the filter.

    A process has every capability in its own user namespace. The setting belongs to the
    zygote's user namespace (namespaces(7), /proc/sys/user); that of the machine does
    not change. /proc here shows processes only, so a complete one is mounted for this.
    """
    _mount(b"proc", b"/tmp", b"proc", _NOSUID | _NODEV | _NOEXEC, None)
    try:
        with open("/tmp/sys/user/max_user_namespaces", "w") as f:  # noqa: S108
            f.write("0")
    finally:
        _check(_libc.umount2(b"/tmp", 0), "umount /tmp")


def fork(plan: Plan, uid: int, fds: list[int], network: int) -> tuple[int, int]:
    """Make a pid namespace with an init and a job's process; return both pids.

    The job's process confines itself and then waits for its script. network is the
    descriptor of its network namespace, or -1 for a new one. Raises OSError, and leaves
    no process behind, if one of them cannot be made.
    """
    unshare(_NEWPID)
    init = 0
    try:
        # User code must not be pid 1, for which signals differ; see tinyinit.
        init = os.posix_spawn(plan.init, ["init"], {})
        job = _fork(plan)
        if job == 0:
            _run_child(plan, uid, fds, network)
    except OSError:
        if init:
            os.kill(init, SIGKILL)
            os.waitpid(init, 0)
        raise
    finally:
        enter(plan.own_pid_namespace, _NEWPID)
    return init, job


def unshare(kinds: int) -> None:
    """Make new namespaces of these kinds for this process. Raises OSError."""
    _check(_libc.unshare(kinds), f"unshare {kinds:#x}")


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace of a descriptor. Raises OSError."""
    _check(_libc.setns(namespace, kind), f"setns {kind:#x}")


def _fork(plan: Plan) -> int:
    """Fork as os.fork() does, without its work for other threads.

    Its hooks take and renew locks, also in every library that registered one: a
    millisecond, mostly for copied pages. A zygote has one thread, so no lock is held.
    _reseed renews the random generators.
    """
    if not plan.tid_address:
        return os.fork()
    # The address is the fourth argument on x86-64, the fifth on aarch64 (clone(2)). The
    # other one is read with CLONE_SETTLS only.
    job: int = _locked_syscall(
        ctypes.c_long(plan.syscall_numbers["clone"]),
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


def _run_child(plan: Plan, uid: int, fds: list[int], network: int) -> "NoReturn":
    """Confine the child, then run it as a job like any other."""
    try:
        # Before anything is allocated: it must count for the job.
        for fd in fds[FIRST_CGROUP:]:
            os.write(fd, b"0")
        # kill(0, …) reaches a process group across pid namespaces.
        os.setsid()
        if network < 0:
            unshare(NEWNET)
        else:
            enter(network, NEWNET)
        _set_up_descriptors(fds)
        _enter_namespaces(plan)
        _drop_rights(plan, uid)
        _reseed(plan)
        # Off in the zygote only, whose objects are frozen.
        gc.enable()
        _install_filter(plan)
        from runner.job import run

        run(_JOB_CHANNEL)
    except BaseException as error:
        # The worker logs it as the output of a sandbox that never became ready.
        sys.stderr.write(f"confine: {type(error).__name__}: {error}\n")
        sys.stderr.flush()
    os._exit(1)


def _set_up_descriptors(fds: list[int]) -> None:
    # Opened for each job: a shared open file shares its flags and offset.
    null = os.open("/dev/null", os.O_RDONLY)
    for fd, at in ((null, 0), (fds[_STDOUT], 1), (fds[_STDERR], 2)):
        os.dup2(fd, at)
    # Last: the descriptors above may be number 3.
    os.dup2(fds[_CHANNEL], _JOB_CHANNEL, inheritable=False)
    os.closerange(_JOB_CHANNEL + 1, 1 << 20)


def _enter_namespaces(plan: Plan) -> None:
    unshare(_NEWNS | _NEWIPC)
    if not plan.gvisor:
        # After joining the cgroup, which becomes the root of what the job can see.
        unshare(_NEWCGROUP)
    flags = _NOSUID | _NODEV
    _mount(b"tmpfs", b"/tmp", b"tmpfs", flags, plan.tmp)
    _mount(b"tmpfs", b"/dev/shm", b"tmpfs", flags | _NOEXEC, plan.tmp)
    # Still to be written to if a user namespace follows.
    read_only = 0 if plan.single_uid else _RDONLY
    _mount(b"proc", b"/proc", b"proc", flags | _NOEXEC | read_only, b"subset=pid")
    os.chdir("/tmp")  # noqa: S108  (its own)


def _drop_rights(plan: Plan, uid: int) -> None:
    for resource, limit in plan.rlimits:
        _call(plan, "prlimit64", 0, resource, ctypes.byref(limit), None)
    if plan.single_uid:
        _enter_user_namespace(uid)
    else:
        os.setgroups([])
    for capability in plan.bounding:
        _check(_prctl(_CAPBSET_DROP, capability, 0, 0, 0), "capbset")
    _check(_prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "ambient")
    if not plan.single_uid:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    # nsjail also sets inheritable capabilities, which a change of UID keeps.
    _call(plan, "capset", plan.capability_header, plan.no_capabilities)
    _check(_prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    # With the change of UID, /proc/self belongs to root.
    _check(_prctl(_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")


def _enter_user_namespace(uid: int) -> None:
    """Enter a new user namespace as uid, its only user.

    The namespaces made before belong to the zygote's user namespace: the new
    capabilities do not apply to them, and are dropped next.
    """
    outside = os.getuid(), os.getgid()
    unshare(_NEWUSER)
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
    """Renew random state that all forks would share; the hash seed stays shared."""
    random.seed()
    # In glibc, rand() and random() share one generator.
    _srandom(int.from_bytes(os.urandom(4), "little"))
    loaded = sys.modules
    if plan.numpy_state:
        # numpy's functions touch some fifty pages, each of which would be copied.
        fresh = os.urandom(_MT19937_BYTES) + _MT19937_WORDS.to_bytes(4, sys.byteorder)
        ctypes.memmove(plan.numpy_state, fresh, len(fresh))
    elif numpy := loaded.get("numpy"):
        # With a number: without one, it takes half a millisecond to gather more.
        numpy.random.seed(int.from_bytes(os.urandom(4), "little"))
    if os.getpid() == plan.pid and (ssl := loaded.get("ssl")):
        # OpenSSL detects a fork by the process id, which is the same here.
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
    _check(_syscall(ctypes.c_long(plan.syscall_numbers[name]), *arguments), name)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
