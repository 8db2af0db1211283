"""The zygote: an interpreter with packages loaded, from which sandboxes fork.

It is process 1 of its nsjail. It never runs user code: a fork first confines itself
(confine.py) and then waits for a script. protocol.md describes the messages on the
control socket.
"""

import _socket
import array
import errno
import gc
import json
import os
import select
import socket

from runner import confine, job, networks, sharing, sockets, warmup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    from typing import NoReturn

_MESSAGE_BYTES = 4096
_MAX_FDS = 16
_PRELOAD_FAILED = 3


class Sandbox:
    """A live fork: the worker's number for it, and its two processes."""

    def __init__(self, number: int, init: int, job: int, network: int) -> None:
        """Keep the process ids of its pid 1 and pid 2, as seen here.

        The latter is 0 once it is reaped. network is its network namespace; -1 if the
        zygote does not have it.
        """
        self.number, self.init, self.job = number, init, job
        self.network = network
        # Pidfds to poll for the end of either.
        self.init_pidfd = os.pidfd_open(init, os.O_NONBLOCK)
        self.job_pidfd = os.pidfd_open(job, os.O_NONBLOCK)
        # How the job's process ended, once it did: the rest of "ended NUMBER".
        self.exit_status = ""


class Zygote:
    """Serves the control socket until the worker closes it."""

    def __init__(self, control: socket.socket, plan: confine.Plan) -> None:
        """Take ownership of the control socket; plan is how each fork is confined."""
        self._control, self._plan = control, plan
        self._outbox: list[tuple[bytes, list[int]]] = []
        self._sandboxes: dict[int, Sandbox] = {}
        # gVisor cannot hand a network namespace on.
        self._networks = None if plan.gvisor else networks.Networks()
        # How processes of sandboxes ended that _reap_orphans came across.
        self._ended: dict[int, tuple[int, resource.struct_rusage]] = {}
        self._poll = select.poll()

    def serve(self) -> "NoReturn":
        """Fork on request and report every end. Exits with the control socket."""
        self._control.setblocking(False)
        self._send(b"ready")
        while True:
            # Never block on sending: if neither side read, both would wait.
            wanted = select.POLLIN | (select.POLLOUT if self._outbox else 0)
            self._poll.register(self._control.fileno(), wanted)
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    self._flush()
                    self._handle_message()
                else:
                    self._reap(fd)

    def _handle_message(self) -> None:
        try:
            message, ancillary, _, _ = _socket.socket.recvmsg(
                self._control, _MESSAGE_BYTES, socket.CMSG_SPACE(_MAX_FDS * 4)
            )
        except BlockingIOError:
            return
        if not message:
            os._exit(0)
        fds = _descriptors(ancillary)
        command, *numbers = message.decode().split()
        if command != "fork" or len(numbers) != 2 or len(fds) < confine.FIRST_CGROUP:
            raise ValueError(f"not a message of the worker's: {message!r}")
        number, uid = map(int, numbers)
        if self._plan.gvisor:
            self._reap_orphans()
        try:
            self._fork(number, uid, fds)
        except OSError as error:
            self._send(f"failed {number} {error}".encode())
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, number: int, uid: int, fds: list[int]) -> None:
        network = self._networks.take() if self._networks else -1
        try:
            init, job = confine.fork(self._plan, uid, fds, network)
        except OSError:
            if network >= 0:
                os.close(network)  # a process may be in it
            raise
        sandbox = Sandbox(number, init, job, network)
        self._sandboxes[sandbox.job_pidfd] = sandbox
        self._poll.register(sandbox.job_pidfd, select.POLLIN)
        # The worker polls both in its event loop.
        pidfds = [sandbox.init_pidfd, sandbox.job_pidfd]
        self._send(f"forked {number}".encode(), pidfds)

    def _reap(self, pidfd: int) -> None:
        """Reap a job's process that ended, and later the init of its namespace.

        It never blocks on the wait: a namespace with many processes and mappings takes
        seconds to end, and other sandboxes need forks meanwhile.
        """
        sandbox = self._sandboxes.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        if pidfd == sandbox.job_pidfd:
            status, usage = self._wait(sandbox.job)
            sandbox.job = 0
            # The kernel kills the rest of the namespace with its pid 1.
            if sandbox.init not in self._ended:
                os.kill(sandbox.init, confine.SIGKILL)
            user, system = (round(t * 1e6) for t in (usage.ru_utime, usage.ru_stime))
            sandbox.exit_status = f"{status} {user} {system}"
            self._sandboxes[sandbox.init_pidfd] = sandbox
            self._poll.register(sandbox.init_pidfd, select.POLLIN)
            return
        self._wait(sandbox.init)
        # The kernel ends a process 1 only when the rest of its namespace has ended.
        self._give_back(sandbox.network)
        self._send(f"ended {sandbox.number} {sandbox.exit_status}".encode())
        if self._plan.gvisor:
            self._reap_orphans()

    def _give_back(self, network: int) -> None:
        if self._networks:
            self._networks.give_back(network)

    def _wait(self, pid: int) -> "tuple[int, resource.struct_rusage]":
        if pid not in self._ended:
            return os.wait4(pid, 0)[1:]
        return self._ended.pop(pid)

    def _reap_orphans(self) -> None:
        """Reap what was left in the pid namespaces of sandboxes that ended.

        Linux does that. gVisor makes them children of the zygote, for which they would
        stay zombies as long as it lives.
        """
        known = {pid for s in self._sandboxes.values() for pid in (s.init, s.job)}
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in known:
                self._ended[pid] = (status, usage)

    def _send(self, message: bytes, fds: list[int] | None = None) -> None:
        # Send copies: these may be closed before the message is sent.
        self._outbox.append((message, [os.dup(fd) for fd in fds or []]))
        self._flush()

    def _flush(self) -> None:
        while self._outbox:
            message, fds = self._outbox[0]
            rights = array.array("i", fds)
            try:
                _socket.socket.sendmsg(
                    self._control,
                    [message],
                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else [],
                )
            except BlockingIOError:
                return
            for fd in fds:
                os.close(fd)
            del self._outbox[0]


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)


def main(arguments: list[str]) -> "NoReturn":
    """Load the packages, then serve.

    Arguments: the control socket, the plan, and the zygote's own cgroup.procs files.
    """
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    for fd in map(int, arguments[2:]):
        os.write(fd, b"0")
        os.close(fd)
    # For the forks: what is loaded next looks whether they are there.
    sockets.hide_refused()
    plan = confine.Plan(json.loads(arguments[1]))
    try:
        warmup.load(plan.preload, plan.exercises)
    except ImportError as error:
        control.send(f"failed 0 cannot preload: {error}".encode())
        os._exit(_PRELOAD_FAILED)
    try:
        plan.seal()
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "?")
        control.send(f"failed 0 {name}: {error}".encode())
        os._exit(1)
    # Objects that exist now live as long as the zygote: to collect them again in every
    # fork would only copy their pages.
    gc.collect()
    if sharing.immortalize():
        # Without immortal objects, forks write to all of these pages anyway.
        sharing.use_large_pages()
    gc.freeze()
    gc.disable()
    job.reserve()
    Zygote(control, plan).serve()
