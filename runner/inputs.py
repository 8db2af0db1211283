"""The inputs of a job beside its script: files, stdin, environment, limits.

Imported only for jobs that have any, and before any of their code runs.
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
    from runner.script import Bound

# Errors that mean that a file has no space.
_NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_PATH_LENGTH_BYTES = 2
# Never through an existing file or link.
_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class TooLargeError(Exception):
    """An input does not fit into the sandbox. The text is one sentence."""


class MismatchError(Exception):
    """main() does not take the arguments. The text is one sentence."""


def write_file(channel: "Channel", length: int) -> tuple[str, tuple[int, int]]:
    """Read the payload of an I frame and write its file.

    Returns its path, and its size and checksum (the same as in outputs.py). Raises
    TooLargeError if it does not fit.
    """
    name_length = int.from_bytes(channel.read(_PATH_LENGTH_BYTES), "big")
    path = channel.read(name_length).decode()
    length -= _PATH_LENGTH_BYTES + name_length
    size, checksum = length, 0
    try:
        if path in (outputs.FOLDER, outputs.TEMPORARY):
            os.rmdir(path)  # a file replaces the folder
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        fd = os.open(path, _CREATE_NEW, 0o644)
        try:
            while length:
                # In parts: the memory may not hold it twice.
                part = channel.read_some(length)
                length -= len(part)
                checksum = crc32(part, checksum)
                _write_all(fd, part)
        finally:
            os.close(fd)
    except OSError as error:
        raise _too_large(error, path) from None
    return path, (size, checksum)


def _too_large(error: OSError, name: str) -> Exception:
    """Return a TooLargeError if there was no space, else the error itself."""
    if error.errno not in _NO_SPACE:
        return error
    text = f"{name} does not fit into the sandbox: {error.strerror}"
    return TooLargeError(text)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def apply_inputs(request: "dict[str, Any]") -> None:
    """Apply stdin and the limits of a J frame.

    Raises TooLargeError if there is no space, and OSError or ValueError for other
    failures: the job must not run then.
    """
    if stdin := request.get("stdin"):
        try:
            _set_stdin(stdin.encode())
        except OSError as error:
            raise _too_large(error, "stdin") from None
    # Last: these limits do not apply to the steps above.
    _lower_rlimits(request.get("rlimits", {}))


def set_environment(env: dict[str, str]) -> None:
    """Set the variables. Some make Python import modules of the script's own."""
    from runner import variables

    os.environ.update(env)
    variables.apply(env)


def _set_stdin(data: bytes) -> None:
    """Make descriptor 0 read data, from a file without a name."""
    name = f".stdin-{os.urandom(8).hex()}"
    writing = os.open(name, _CREATE_NEW, 0o600)
    try:
        _write_all(writing, data)
        reading = os.open(name, os.O_RDONLY)
    finally:
        os.close(writing)
        os.unlink(name)
    os.dup2(reading, 0)
    os.close(reading)


def _lower_rlimits(limits: dict[str, int]) -> None:
    if not limits:
        return
    import resource

    for number, value in limits.items():
        # Hard limits too: they cannot be raised again.
        resource.setrlimit(int(number), (value, value))


def make_binder() -> "Callable[[Callable[..., object], dict[str, object]], Bound]":
    """Return a function that binds arguments to main(), if it takes them.

    The function raises MismatchError. It imports what it needs now: the script's folder
    may have an inspect.py.
    """
    from functools import partial
    from inspect import signature

    def bind(main: "Callable[..., object]", args: dict[str, object]) -> "Bound":
        try:
            accepted = signature(main)
        except (ValueError, TypeError):
            return partial(main, **args)  # in C, perhaps: only the call can show
        args = _as_python_names(args, accepted.parameters)
        try:
            accepted.bind(**args)
        except TypeError as error:
            text = f"main() does not take these args: {error}; it is main{accepted}"
            raise MismatchError(text) from None
        return partial(main, **args)

    return bind


def _as_python_names(
    args: dict[str, object], parameters: "Mapping[str, object]"
) -> dict[str, object]:
    """Rename arguments as Python normalizes the names of parameters (NFKC)."""
    if all(map(str.isascii, args)):
        return args
    from unicodedata import normalize

    renamed: dict[str, object] = {}
    for name, value in args.items():
        normal = normalize("NFKC", name)
        # Keep other names: a **parameter takes any. If two names become the same, the
        # one that would change keeps its name, which the signature then refuses.
        if name in parameters or normal not in parameters or normal in args:
            normal = name
        renamed[normal] = value
    return renamed
