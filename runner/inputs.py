"""What a job is given beside its script: standard input, environment, limits.

Imported only for the jobs that have any of it, and before any of their code runs.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_STDIN = ".stdin"


class MismatchError(Exception):
    """The arguments are not those that main() takes; carries a sentence."""


def take(request: "dict[str, Any]") -> None:
    """Put in place what a J frame has beside the script and the arguments.

    Raises OSError or ValueError where that fails: the job must not run then.
    """
    if stdin := request.get("stdin"):
        _set_stdin(stdin.encode())
    os.environ.update(request.get("env", {}))
    # Last: what is above need not fit in.
    _lower(request.get("rlimits", {}))


def _set_stdin(data: bytes) -> None:
    """Make data what descriptor 0 gives, from a file without a name."""
    writing = os.open(_STDIN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(writing, rest) :]
        reading = os.open(_STDIN, os.O_RDONLY)
    finally:
        os.close(writing)
        os.unlink(_STDIN)
    os.dup2(reading, 0)
    os.close(reading)


def _lower(limits: dict[str, int]) -> None:
    if not limits:
        return
    import resource

    for number, value in limits.items():
        # Hard ones too, which cannot be raised again.
        resource.setrlimit(int(number), (value, value))


def caller() -> "Callable[[Callable[..., object], dict[str, object]], object]":
    """Give what calls main() with arguments, once it is sure to take them.

    That raises MismatchError, or what main() raises. It has all that it needs:
    the script's folder may have an inspect.py of its own.
    """
    from inspect import signature

    def call(main: "Callable[..., object]", args: dict[str, object]) -> object:
        try:
            known = signature(main)
        except (ValueError, TypeError):
            return main(**args)  # written in C, perhaps: calling it will tell
        try:
            known.bind(**args)
        except TypeError as error:
            text = f"main() does not take these args: {error}; it is main{known}"
            raise MismatchError(text) from None
        return main(**args)

    return call
