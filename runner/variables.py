"""Applies variables of a request's `env` that were read before they were set.

Python has read its own at start, and in a warm sandbox numpy and matplotlib theirs.
"""

import os
import sys

from runner import failure, stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# In the order in which OpenBLAS reads them.
_BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
# Where wheels of numpy and others have OpenBLAS, and the names of its setter.
_LIBRARIES = ("numpy.libs", "scipy.libs", "scipy_openblas64/lib")
_SETTERS = tuple(
    f"{prefix}openblas_set_num_threads{suffix}"
    for prefix in ("scipy_", "")
    for suffix in ("64_", "_64", "")
)


def apply(env: "Mapping[str, str]") -> None:
    """Apply the variables, which are already in os.environ, to this process.

    Invalid values are reported on stderr.
    """
    for name, apply_value in _APPLY.items():
        if name in env:
            try:
                apply_value(env[name])
            except BaseException as error:
                # A module of the script's, imported for it, may raise anything.
                stdio.write_stderr(f"{name}: {failure.message(error)}")
    for name in _BLAS_VARIABLES:
        if name in env:
            _set_blas_threads(env[name])
            break


def _set_time_zone(_value: str) -> None:
    import time

    time.tzset()


def _set_path(value: str) -> None:
    # The script's own folder comes before these.
    sys.path[:0] = [os.path.abspath(part) for part in value.split(os.pathsep)]


def _set_warnings(value: str) -> None:
    options = [option for option in value.split(",") if option]
    if options:
        import warnings

        sys.warnoptions.extend(options)
        warnings._processoptions(options)  # type: ignore[attr-defined]


def _set_bytecode(value: str) -> None:
    sys.dont_write_bytecode = bool(value)


def _set_faulthandler(value: str) -> None:
    if value:
        import faulthandler

        faulthandler.enable()


def _set_unbuffered(value: str) -> None:
    if value:
        stdio.unbuffer()


def _set_errors(value: str) -> None:
    _, _, errors = value.partition(":")
    if errors:
        for stream in (sys.stdin, sys.stdout):
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]


def _set_backend(value: str) -> None:
    if matplotlib := sys.modules.get("matplotlib"):
        matplotlib.rcParams["backend"] = value
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.switch_backend(value)


def _set_blas_threads(value: str) -> None:
    """Set the number of threads of an OpenBLAS that is loaded."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not numpy.__file__:
        return  # it will read the variable when it is loaded
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        number = len(os.sched_getaffinity(0))
    packages = os.path.dirname(os.path.dirname(numpy.__file__))
    for folder in _LIBRARIES:
        _call_setters(os.path.join(packages, folder), number)


def _call_setters(folder: str, number: int) -> None:
    import ctypes

    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if "openblas" not in name:
            continue
        library: Any = ctypes.CDLL(os.path.join(folder, name))
        for setter in _SETTERS:
            if function := getattr(library, setter, None):
                function(ctypes.c_int(number))
                return


_APPLY: "dict[str, Callable[[str], None]]" = {
    "TZ": _set_time_zone,
    "PYTHONPATH": _set_path,
    "PYTHONWARNINGS": _set_warnings,
    "PYTHONDONTWRITEBYTECODE": _set_bytecode,
    "PYTHONFAULTHANDLER": _set_faulthandler,
    "PYTHONUNBUFFERED": _set_unbuffered,
    "PYTHONIOENCODING": _set_errors,
    "MPLBACKEND": _set_backend,
}
