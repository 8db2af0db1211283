"""Hands out what the script left in outputs/: regular files, and nothing else.

It runs inside, as the job's user, after the script: whatever the script planted
there can at most show it what it could read anyway. The worker opens nothing; it
gets names and bytes, bounds both, and trusts neither.
"""

# Bound at import, so that a script which breaks `os` does not break its answer.
from os import (
    O_CLOEXEC,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDONLY,
    close,
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


def send(to: "Channel", home: str) -> None:
    """Send an F frame for each file in the folder that home has for them.

    Raises OSError when the worker is gone, or does not want any more.
    """
    try:
        folder = open_file(home + "/" + FOLDER, _FILE | O_DIRECTORY)
    except OSError:
        return  # nearly always: there is none
    _send_folder(to, folder, b"", _DEPTH)


def _send_folder(to: "Channel", folder: int, prefix: bytes, depth: int) -> None:
    try:
        names = sorted(map(fsencode, listdir(folder)))
    except OSError:
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
        except OSError:
            part = b""
        part = part or bytes(min(size, _PART))
        to.write(part)
        size -= len(part)
