# Helpers for the attempts. This file is prepended to each of them.
import ctypes as _ctypes
import os as _os

MARK = "{{mark}}"
CANARY = "{{canary}}"

_libc = _ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = _ctypes.c_long


def syscall(number, *arguments):
    """Make a raw system call; return (result, errno)."""
    _ctypes.set_errno(0)
    given = [_ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = _libc.syscall(_ctypes.c_long(number), *given)
    return result, _ctypes.get_errno() if result == -1 else 0


def succeeded(name, call, *arguments):
    """Return [name] if the call raises no OSError, else []."""
    try:
        call(*arguments)
    except (OSError, ValueError):
        return []
    return [name]


def in_child(work):
    """Run work in a child and return how it ended: -signal or exit code."""
    child = _os.fork()
    if child == 0:
        try:
            work()
        finally:
            _os._exit(0)
    return _os.waitstatus_to_exitcode(_os.waitpid(child, 0)[1])


