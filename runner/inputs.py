"""What a job is given beside its script: files, stdin, environment, limits.

Imported only for the jobs that have any of it, and before any of their code runs.
"""

import errno
import os
from zlib import crc32

from runner import outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from runner.channel import Channel

# Why a file has no room.
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_PATH_LENGTH_BYTES = 2
# Never through what is there already.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class TooLargeError(Exception):
    """What is given does not fit in; carries a sentence."""


class MismatchError(Exception):
    """The arguments are not those that main() takes; carries a sentence."""


def place(channel: "Channel", length: int) -> tuple[str, tuple[int, int]]:
    """Read the payload of an I frame, and write the file that it holds.

    Gives its path, and its size and checksum (outputs.py has the same one).
    Raises TooLargeError where it does not fit in.
    """
    name_length = int.from_bytes(channel.read(_PATH_LENGTH_BYTES), "big")
    path = channel.read(name_length).decode()
    length -= _PATH_LENGTH_BYTES + name_length
    size, total = length, 0
    try:
        if path == outputs.FOLDER:
            os.rmdir(path)  # a file in the place of the folder
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        fd = os.open(path, _NEW, 0o644)
        try:
            while length:
                # In parts: it need not fit into memory twice.
                part = channel.read_some(length)
                length -= len(part)
                total = crc32(part, total)
                _write(fd, part)
        finally:
            os.close(fd)
    except OSError as error:
        raise _too_large(error, path) from None
    return path, (size, total)


def _too_large(error: OSError, what: str) -> Exception:
    """Give the error itself, or what says that there is no room for something."""
    if error.errno not in _NO_ROOM:
        return error
    text = f"{what} does not fit into the sandbox: {error.strerror}"
    return TooLargeError(text)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def take(request: "dict[str, Any]") -> None:
    """Put in place what a J frame has beside the script and the arguments.

    Raises TooLargeError where there is no room, OSError or ValueError where it
    fails otherwise: the job must not run then.
    """
    if stdin := request.get("stdin"):
        try:
            _set_stdin(stdin.encode())
        except OSError as error:
            raise _too_large(error, "stdin") from None
    if env := request.get("env"):
        from runner import variables

        os.environ.update(env)
        variables.apply(env)
    # Last: what is above need not fit in.
    _lower(request.get("rlimits", {}))


def _set_stdin(data: bytes) -> None:
    """Make data what descriptor 0 gives, from a file without a name."""
    name = f".stdin-{os.urandom(8).hex()}"
    writing = os.open(name, _NEW, 0o600)
    try:
        _write(writing, data)
        reading = os.open(name, os.O_RDONLY)
    finally:
        os.close(writing)
        os.unlink(name)
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
        args = _as_python_names(args, known.parameters)
        try:
            known.bind(**args)
        except TypeError as error:
            text = f"main() does not take these args: {error}; it is main{known}"
            raise MismatchError(text) from None
        return main(**args)

    return call


def _as_python_names(
    args: dict[str, object], parameters: "Mapping[str, object]"
) -> dict[str, object]:
    """Name arguments as Python names parameters, which it normalizes (NFKC)."""
    if all(map(str.isascii, args)):
        return args
    from unicodedata import normalize

    named: dict[str, object] = {}
    for name, value in args.items():
        normal = normalize("NFKC", name)
        # Another one is of a **parameter, which takes any; of two that come to be
        # the same, the one that is not there as it is stays, and is told of.
        if name in parameters or normal not in parameters or normal in args:
            normal = name
        named[normal] = value
    return named
