"""Process 1 of a cold sandbox: starts the job's process and reports its end.

It never runs user code. Its messages on the status socket are evidence for the worker,
so it makes itself unreadable to the job's processes, which have the same UID.
protocol.md lists the messages.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_SIGINT = 2
_SIGKILL = 9
_SIG_IGN = 1


class Options:
    """The file descriptors that the worker passed."""

    def __init__(self, arguments: list[str]) -> None:
        """Read `--name N` pairs. Raises ValueError for anything else."""
        self.cgroups: list[int] = []
        given: dict[str, int] = {}
        pairs = iter(arguments)
        for name in pairs:
            number = next(pairs, "")
            if not number.isdecimal():
                raise ValueError(f"{name} needs a file descriptor")
            if name == "--cgroup-fd":
                self.cgroups.append(int(number))
            elif name in ("--status-fd", "--channel-fd"):
                given[name] = int(number)
            else:
                raise ValueError(f"unknown argument {name}")
        if len(given) != 2:
            raise ValueError("--status-fd and --channel-fd are both needed")
        self.status = given["--status-fd"]
        self.channel = given["--channel-fd"]


def main(arguments: list[str]) -> "NoReturn":
    """Run one job and exit: 0 once its end is reported, 1 on errors, 2 on misuse."""
    try:
        options = Options(arguments)
    except ValueError as error:
        _write_stderr(error)
        os._exit(2)
    try:
        _join_cgroups(options.cgroups)
        gate_reader, gate_writer = os.pipe()
        job = os.fork()
        if job == 0:
            os.close(gate_writer)
            _start_job(options, gate_reader)
        os.close(gate_reader)
        _supervise(job, gate_writer, options)
    except BaseException as error:
        _send_status(options.status, f"error {type(error).__name__}: {error}")
    os._exit(1)


def _join_cgroups(fds: list[int]) -> None:
    # First, so that the memory of every import counts for the job.
    for fd in fds:
        os.write(fd, b"0")
        os.close(fd)


def _start_job(options: Options, gate_reader: int) -> "NoReturn":
    """Run the job's process up to the call of job.run."""
    try:
        os.close(options.status)
        # Signals to process group 0 must not reach process 1.
        os.setsid()
        # Imported after the fork: it overlaps with the parent's work, and process 1
        # stays small.
        from runner import sockets
        from runner.job import run

        sockets.hide_refused()

        # No user code before process 1 is sealed. End of file: it failed.
        if os.read(gate_reader, 1) == b"":
            os._exit(1)
        os.close(gate_reader)
        run(options.channel)
    except BaseException as error:
        _write_stderr(error)
    os._exit(1)


def _supervise(job: int, gate_writer: int, options: Options) -> "NoReturn":
    for fd in (0, 1, 2, options.channel):
        _close(fd)
    _seal()
    _send_status(options.status, "ready")
    os.write(gate_writer, b"\n")
    os.close(gate_writer)
    # Orphans of the job become children of process 1 and are reaped here.
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == job:
            break
    user, system = (round(t * 1e6) for t in (usage.ru_utime, usage.ru_stime))
    _send_status(options.status, f"status {status} {user} {system}")
    os._exit(0)


def _seal() -> None:
    """Make this process die with nsjail, and unreadable to the job."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, _SIGKILL), (_PR_SET_DUMPABLE, 0)):
        arguments = [ctypes.c_ulong(n) for n in (value, 0, 0, 0)]
        if libc.prctl(option, *arguments) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    # Python's handler for SIGINT would make process 1 killable from inside.
    libc.signal(_SIGINT, ctypes.c_void_p(_SIG_IGN))


def _send_status(status: int, line: str) -> None:
    line = line.replace("\n", " ")[:4000]
    try:
        os.write(status, line.encode("utf-8", "replace") + b"\n")
    except OSError:
        # The worker is gone, and PDEATHSIG follows.
        os._exit(1)


def _write_stderr(error: BaseException) -> None:
    sys.stderr.write(f"runner: {type(error).__name__}: {error}\n")
    sys.stderr.flush()


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        # It was not open.
        pass
