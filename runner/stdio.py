"""The script's stdout and stderr."""

import io
import sys

from runner import text

_original_streams: list[io.TextIOWrapper] = []
# Bound here: a script may replace the methods of its streams.
_flush = io.TextIOWrapper.flush


def prepare() -> None:
    """Make both UTF-8 and line-buffered; lone surrogates never raise.

    Line-buffered, so that printed lines survive a kill.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                encoding="utf-8", errors=text.REPLACE_ERRORS, line_buffering=True
            )
            _original_streams.append(stream)


def unbuffer() -> None:
    """Write each piece of text at once, as PYTHONUNBUFFERED demands."""
    for name in ("stdout", "stderr"):
        raw = getattr(sys, name).detach().detach()
        stream = io.TextIOWrapper(
            raw, encoding="utf-8", errors=text.REPLACE_ERRORS, write_through=True
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def flush() -> None:
    """Flush the current stdout and stderr, and the original ones.

    Errors are ignored: the script may have closed or replaced them.
    """
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except BaseException:
            pass
    for stream in _original_streams:
        try:
            _flush(stream)
        except BaseException:
            pass


def write_stderr(line: str) -> None:
    """Write a line to the current stderr, as Python does at its end."""
    try:
        sys.stderr.write(line + "\n")
    except BaseException:
        pass
