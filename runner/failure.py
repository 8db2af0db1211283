"""Describes an exception that left the script: message, traceback, hint.

The traceback module is imported at the first failure: it takes 7 ms, and most jobs do
not fail. If that is not possible, or it cannot format the exception (hostile
attributes, no memory), a plain traceback is written.
"""

import sys

from runner import hints
from runner.script import MODULE_NAME, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from traceback import TracebackException
    from types import FrameType, ModuleType, TracebackType
    from typing import Any

# Of more frames, the middle is left out: a script may raise the recursion limit, and to
# format a million frames takes longer than the job's time limit.
_HEAD = _TAIL = 1000

# Even if an exception class redefines the name.
_get_traceback = BaseException.__dict__["__traceback__"].__get__
_set_traceback = BaseException.__dict__["__traceback__"].__set__

_import_state = (sys.path[:], sys.meta_path[:], sys.path_hooks[:])


def describe(error: BaseException, script: Script) -> dict[str, object]:
    """Describe any exception. Never raises."""
    for attempt in (_full, _plain, _least):
        try:
            return attempt(error, script)
        except BaseException:
            # The next one needs less of the exception and less memory.
            continue
    return {"code": "exception", "message": message(error)}


def message(error: "Any") -> str:
    """Return the last line of a traceback: type and text. Never raises."""
    try:
        name = type_name(type(error))
        # type() instead of isinstance(), which asks the exception for its class.
        text = error.msg if issubclass(type(error), SyntaxError) else str(error)
        text = str.__str__(text)
    except BaseException:
        return f"{_bare_name(error)}: <exception str() failed>"
    return f"{name}: {text}" if text else name


def type_name(kind: type) -> str:
    """Return the type's name, with its module unless that is obvious."""
    module, name = kind.__module__, kind.__qualname__
    if module in ("builtins", "__main__", MODULE_NAME):
        return name
    return f"{module}.{name}"


def chain(error: BaseException) -> "Iterator[BaseException]":
    """Yield the exception, its causes and contexts, and the members of groups."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        exception = todo.pop()
        if exception is None or id(exception) in seen:
            continue
        seen.add(id(exception))
        yield exception
        if not exception.__suppress_context__:
            todo.append(exception.__context__)
        todo.append(exception.__cause__)
        if isinstance(exception, BaseExceptionGroup):
            todo.extend(exception.exceptions)


def _full(error: BaseException, script: Script) -> dict[str, object]:
    report: dict[str, object] = {"code": "exception", "message": message(error)}
    found = hints.find(chain, error)
    if found is not None:
        report["hint"] = found
    report["traceback"] = format_traceback(error, script)
    return report


def _plain(error: BaseException, script: Script) -> dict[str, object]:
    lines = script.lines()
    text = message(error)
    parts = ["Traceback (most recent call last):\n"]
    trace, _ = _shorten(_get_traceback(error), script)
    while trace is not None:
        code, number = trace.tb_frame.f_code, trace.tb_lineno
        parts.append(f'  File "{code.co_filename}", line {number}, in {code.co_name}\n')
        if code.co_filename == script.file_name:
            parts.append(f"    {''.join(lines[number - 1 : number]).strip()}\n")
        trace = trace.tb_next
    report = _without_traceback(error)
    report["traceback"] = "".join(parts) + text + "\n"
    return report


def _least(error: BaseException, _script: Script) -> dict[str, object]:
    # Frames hold the script's objects: release those first.
    trace = _get_traceback(error)
    _set_traceback(error, None)
    while trace is not None:
        try:
            trace.tb_frame.clear()
        except RuntimeError:
            pass
        trace = trace.tb_next
    return _without_traceback(error)


def _without_traceback(error: BaseException) -> dict[str, object]:
    report: dict[str, object] = {"code": "exception", "message": message(error)}
    if issubclass(type(error), MemoryError):
        report["hint"] = hints.MEMORY
    return report


def _bare_name(error: BaseException) -> str:
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name


def format_traceback(error: BaseException, script: Script) -> str:
    """Format the whole chain as Python does, with the script's own frames only.

    May raise anything, since it runs methods of the script's exceptions.
    """
    traceback = _import_traceback()
    entry = (len(script.source), None, script.lines(), script.file_name)
    traceback.linecache.cache[script.file_name] = entry
    left_out: dict[int, int] = {}
    for exception in chain(error):
        exception.__traceback__, left_out[id(exception)] = _shorten(
            exception.__traceback__, script
        )
        if type(exception).__module__ == MODULE_NAME:
            # Printed without a module, as in a program that Python runs.
            type(exception).__module__ = "__main__"
    formatted = traceback.TracebackException.from_exception(error, compact=True)
    _mark_gaps(formatted, error, left_out, script.file_name)
    return "".join(formatted.format())


def _import_traceback() -> "ModuleType":
    # The path from before the script: its directory may have a `token.py`.
    sys.path, sys.meta_path, sys.path_hooks = _import_state
    import traceback

    return traceback


def _shorten(
    trace: "TracebackType | None", script: Script
) -> "tuple[TracebackType | None, int]":
    """Return the traceback of the script's own frames, and how many were left out."""
    count = sum(1 for _ in _script_entries(trace, script))
    kept = [
        entry
        for index, entry in enumerate(_script_entries(trace, script))
        if index < _HEAD or index >= count - _TAIL
    ]
    cut = None
    for entry in reversed(kept):
        cut = type(entry)(cut, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return cut, count - len(kept)


def _script_entries(
    trace: "TracebackType | None", script: Script
) -> "Iterator[TracebackType]":
    while trace is not None:
        if _is_script_frame(trace.tb_frame, script):
            yield trace
        trace = trace.tb_next


def _is_script_frame(frame: "FrameType", script: Script) -> bool:
    """Report whether the frame is the script's, not the runner's or a library's."""
    name = frame.f_code.co_filename
    if name.startswith("<"):
        # Text passed to exec, by an imported module or not.
        known = frame.f_globals.get
        return known("__spec__") is None or known("__name__") == script.module_name
    return name == script.file_name or name.startswith(script.home + "/")


def _mark_gaps(
    formatted: "TracebackException",
    error: BaseException,
    left_out: dict[int, int],
    file_name: str,
) -> None:
    """Mark in each shortened stack how many frames are missing, and where."""
    pairs: list[tuple[TracebackException | None, BaseException | None]]
    pairs = [(formatted, error)]
    while pairs:
        part, exception = pairs.pop()
        if part is None or exception is None:
            continue
        missing = left_out.get(id(exception), 0)
        if missing:
            gap = type(part.stack[0])(file_name, 0, f"[{missing} frames left out]")
            part.stack.insert(_HEAD, gap)
        pairs.append((part.__cause__, exception.__cause__))
        pairs.append((part.__context__, exception.__context__))
        if isinstance(exception, BaseExceptionGroup):
            pairs.extend(zip(part.exceptions or (), exception.exceptions, strict=False))
