"""The script's stdout and stderr."""

import io
import sys

from runner import text

_own: list[io.TextIOWrapper] = []
# A script may put something else in the place of its streams' methods.
_flush = io.TextIOWrapper.flush


def prepare() -> None:
    """Make them UTF-8, line-buffered, and never raise on a lone surrogate.

    Line-buffered, so that what was printed survives a kill.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                encoding="utf-8", errors=text.REPLACE_ERRORS, line_buffering=True
            )
            _own.append(stream)


def unbuffer() -> None:
    """Pass on each piece of text at once, as PYTHONUNBUFFERED asks."""
    for name in ("stdout", "stderr"):
        raw = getattr(sys, name).detach().detach()
        stream = io.TextIOWrapper(
            raw, encoding="utf-8", errors=text.REPLACE_ERRORS, write_through=True
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def flush() -> None:
    """Flush what are stdout and stderr now, and the original ones.

    Whatever goes wrong is ignored: the script may have closed or replaced them.
    """
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except BaseException:
            pass
    for stream in _own:
        try:
            _flush(stream)
        except BaseException:
            pass


def complain(line: str) -> None:
    """Write a line to what is stderr now, as Python does at its end."""
    try:
        sys.stderr.write(line + "\n")
    except BaseException:
        pass
