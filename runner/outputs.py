"""Hands out what the script left in outputs/: regular files, and nothing else.

It runs inside, as the job's user, after the script: whatever the script planted
there can at most show it what it could read anyway. The worker opens nothing; it
gets names and bytes, bounds both, and trusts neither.
"""

# Bound at import, so that a script which breaks `os` does not break its answer.
from errno import EMFILE
from gc import get_objects
from io import BufferedRandom, BufferedWriter, TextIOWrapper
from os import (
    O_CLOEXEC,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDONLY,
    close,
    closerange,
    fsencode,
    fstat,
    listdir,
    read,
)
from os import open as open_file

from runner import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.channel import Channel

FOLDER = "outputs"
# Folders below folders that are looked into.
_DEPTH = 16
# Never through a link, and never waiting for the other end of a pipe.
_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
_TYPE_MASK, _REGULAR, _DIRECTORY = 0o170000, 0o100000, 0o040000
_PART = 1 << 16
_ZEROS = memoryview(bytes(_PART))
# Above any limit on open files.
_MAX_FDS = 1 << 16


def send(to: "Channel", home: str) -> None:
    """Send an F frame for each file in the folder that home has for them.

    Raises OSError when the worker is gone, or does not want any more.
    """
    path = home + "/" + FOLDER
    try:
        folder = open_file(path, _FILE | O_DIRECTORY)
    except OSError as error:
        if error.errno != EMFILE:
            return  # nearly always: there is none
        # The script has left no room for our own, and needs its own no more.
        flush_files()
        closerange(to.fd + 1, _MAX_FDS)
        try:
            folder = open_file(path, _FILE | O_DIRECTORY)
        except OSError:
            return
    else:
        flush_files()
    _send_folder(to, folder, b"", _DEPTH)


def flush_files() -> None:
    """Write what files that the script left open still hold back.

    Python does that at its end, which a job does not wait for. What a zygote had
    before is frozen and not among these objects.
    """
    for thing in get_objects():
        for kind in (TextIOWrapper, BufferedWriter, BufferedRandom):
            if issubclass(type(thing), kind):
                try:
                    kind.flush(thing)
                except BaseException:
                    break  # closed, full, or the script's own kind of it


def _send_folder(to: "Channel", folder: int, prefix: bytes, depth: int) -> None:
    try:
        names = sorted(map(fsencode, listdir(folder)))
    except (OSError, MemoryError):
        names = []
    for name in names:
        try:
            fd = open_file(name, _FILE, dir_fd=folder)
        except OSError:
            continue  # a link, a socket, something without permission
        try:
            status = fstat(fd)
            kind = status.st_mode & _TYPE_MASK
            if kind == _REGULAR:
                _send_file(to, fd, prefix + name, status.st_size)
            elif kind == _DIRECTORY and depth > 0:
                _send_folder(to, fd, prefix + name + b"/", depth - 1)
        finally:
            close(fd)


def _send_file(to: "Channel", fd: int, name: bytes, size: int) -> None:
    head = len(name).to_bytes(2, "big") + name
    to.send_header(channel.OUTPUT, min(len(head) + size, channel.MAX_PAYLOAD))
    to.write(head)
    while size > 0:
        # Threads and children of the script's may still shorten it. What was
        # announced is sent.
        try:
            part = read(fd, min(size, _PART))
        except (OSError, MemoryError):
            part = b""
        rest = part or _ZEROS[:size]
        to.write(rest)
        size -= len(rest)
