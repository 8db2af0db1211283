"""Hands out what the script left: regular files, and nothing else.

First those in outputs/, then its figures, then new and changed files elsewhere in
its working directory, as far as the limits allow. It runs inside, as the job's
user, after the script: whatever the script planted there can at most show it what
it could read anyway. The worker opens nothing; it gets names and bytes, bounds
both, and trusts neither.
"""

# Bound at import, so that a script which breaks `os` does not break its answer.
import os
import sys
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
    fsdecode,
    fsencode,
    fstat,
    listdir,
    lseek,
    read,
    stat,
)
from os import mkdir as make_folder
from os import open as open_file
from zlib import crc32

from runner import channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import stat_result
    from typing import Any

    from runner.bounds import Bounds
    from runner.channel import Channel
    from runner.notes import Notes

FOLDER = "outputs"
# For temporary files: a name that does not come back.
_TEMPORARY = ".tmp"
# Beside names that begin with a dot.
_NEVER = (b"__pycache__",)
_NOT_AT_THE_TOP = (b"script.py", FOLDER.encode())
# Folders below folders that are looked into.
_DEPTH = 16
# Never through a link, and never waiting for the other end of a pipe.
_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
_TYPE_MASK, _REGULAR, _DIRECTORY = 0o170000, 0o100000, 0o040000
_PART = 1 << 16
_ZEROS = memoryview(bytes(_PART))
# Above any limit on open files.
_MAX_FDS = 1 << 16


def prepare(home: str) -> None:
    """Make the folders that a script finds: for what it leaves, and TMPDIR."""
    for name in (FOLDER, _TEMPORARY):
        try:
            make_folder(f"{home}/{name}", 0o755 if name == FOLDER else 0o700)
        except OSError:
            pass  # the script will see
    os.environ["TMPDIR"] = f"{home}/{_TEMPORARY}"
    if tempfile := sys.modules.get("tempfile"):
        tempfile.tempdir = None  # type: ignore[attr-defined]  # looked up anew
    os.mkdir = _tolerant(f"{home}/{FOLDER}")


def _tolerant(folder: str) -> "Any":
    """Make an os.mkdir that takes the folder as new, once and while it is empty.

    Scripts from when it was not there make it, and would fail.
    """
    fresh = [folder]

    def mkdir(path: "Any", mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """Create a directory."""
        try:
            make_folder(path, mode, dir_fd=dir_fd)
        except FileExistsError:
            if not fresh or dir_fd is not None or not _is(path, folder):
                raise
            fresh.clear()

    return mkdir


def _is(path: "Any", folder: str) -> bool:
    return os.path.abspath(fsdecode(path)) == folder and not listdir(folder)


def send(
    to: "Channel",
    home: str,
    bounds: "Bounds",
    drawn: list[tuple[str, bytes]],
    notes: "Notes",
) -> None:
    """Send an F frame for each file.

    What does not fit goes to bounds. Raises OSError when the worker is gone, or does
    not want any more.
    """
    sender = _Sender(to, bounds)
    top = _open_top(to, home)
    if top >= 0 and _has_files(top, _DEPTH, _NOT_AT_THE_TOP[:1]):
        flush_files()
        for name, fd, status in _below(top, FOLDER):
            # As many as there are: the worker refuses what is too much.
            sender.send_file(name, fd, status.st_size)
    for picture, data in drawn:
        if sender.has_room(picture.encode(), len(data)):
            sender.send_data(picture.encode(), data)
    if top < 0:
        return
    for name, fd, status in _walk(top, b"", _DEPTH, visible=True):
        if _is_unchanged(fd, status, bounds.given.get(fsdecode(name))):
            continue
        if name in sender.names:
            shown = name.decode("utf-8", "replace")[:255]
            notes.add(f"{shown}: left out, since outputs/ has a file of that name")
        elif sender.has_room(name, status.st_size):
            sender.send_file(name, fd, status.st_size)


def _open_top(to: "Channel", home: str) -> int:
    """Open the working directory; -1 if that cannot be done."""
    try:
        return open_file(home, _FILE | O_DIRECTORY)
    except OSError as error:
        if error.errno != EMFILE:
            return -1
    # The script has left no room for our own, and needs its own no more.
    flush_files()
    closerange(to.fd + 1, _MAX_FDS)
    try:
        return open_file(home, _FILE | O_DIRECTORY)
    except OSError:
        return -1


class _Sender:
    """Sends files, and counts what they take."""

    def __init__(self, to: "Channel", bounds: "Bounds") -> None:
        self._to, self._bounds = to, bounds
        self._files, self._bytes = bounds.files, bounds.bytes
        self.names: set[bytes] = set()

    def has_room(self, name: bytes, size: int) -> bool:
        """Report whether one more file fits; it is noted if it does not."""
        if self._files > 0 and size <= self._bytes:
            return True
        limit = "output_files" if self._files <= 0 else "output_files_bytes"
        self._bounds.omit(name.decode("utf-8", "replace"), size, limit)
        return False

    def send_data(self, name: bytes, data: bytes) -> None:
        """Send a file that is in memory."""
        self._begin(name, len(data))
        self._to.write(data)

    def send_file(self, name: bytes, fd: int, size: int) -> None:
        """Send an open file."""
        self._begin(name, size)
        while size > 0:
            # Threads and children of the script's may still shorten it. What was
            # announced is sent.
            try:
                part = read(fd, min(size, _PART))
            except (OSError, MemoryError):
                part = b""
            rest = part or _ZEROS[:size]
            self._to.write(rest)
            size -= len(rest)

    def _begin(self, name: bytes, size: int) -> None:
        self.names.add(name)
        self._files, self._bytes = self._files - 1, self._bytes - size
        head = len(name).to_bytes(2, "big") + name
        length = min(len(head) + size, channel.MAX_PAYLOAD)
        self._to.send_header(channel.OUTPUT, length)
        self._to.write(head)


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


def _has_files(folder: int, depth: int, but: tuple[bytes, ...] = ()) -> bool:
    """Report whether there is any file: in nearly every job there is none."""
    for name, kind in _entries(folder):
        if kind == _REGULAR and name not in but:
            return True
        if kind == _DIRECTORY and depth > 0 and not name.startswith(b"."):
            fd = _open(folder, name, _DIRECTORY)
            if fd >= 0:
                try:
                    if _has_files(fd, depth - 1):
                        return True
                finally:
                    close(fd)
    return False


def _below(top: int, name: str) -> "Iterator[tuple[bytes, int, stat_result]]":
    folder = _open(top, name.encode(), _DIRECTORY)
    if folder >= 0:
        try:
            yield from _walk(folder, b"", _DEPTH, visible=False)
        finally:
            close(folder)


def _walk(
    folder: int, prefix: bytes, depth: int, *, visible: bool
) -> "Iterator[tuple[bytes, int, stat_result]]":
    """Yield each regular file below an open folder: its path, opened, its status.

    With visible, without those that are not meant to come back from anywhere.
    """
    for name, kind in _entries(folder):
        hidden = name.startswith(b".") or name in _NEVER
        if visible and (hidden or (not prefix and name in _NOT_AT_THE_TOP)):
            continue
        if kind == _DIRECTORY and depth == 0:
            continue
        fd = _open(folder, name, kind)
        if fd < 0:
            continue
        try:
            if kind == _REGULAR:
                yield prefix + name, fd, fstat(fd)
            else:
                below = prefix + name + b"/"
                yield from _walk(fd, below, depth - 1, visible=visible)
        finally:
            close(fd)


def _entries(folder: int) -> "Iterator[tuple[bytes, int]]":
    """Yield the names of files and folders in order; links and devices are neither."""
    try:
        names = sorted(map(fsencode, listdir(folder)))
    except (OSError, MemoryError):
        return
    for name in names:
        try:
            mode = stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except OSError:
            continue
        if mode & _TYPE_MASK in (_REGULAR, _DIRECTORY):
            yield name, mode & _TYPE_MASK


def _open(folder: int, name: bytes, kind: int) -> int:
    """Open a file or folder, if it is still one; -1 if not."""
    flags = _FILE | O_DIRECTORY if kind == _DIRECTORY else _FILE
    try:
        fd = open_file(name, flags, dir_fd=folder)
    except OSError:
        return -1  # without permission, or swapped for a link since
    if fstat(fd).st_mode & _TYPE_MASK == kind:
        return fd
    close(fd)
    return -1


def _is_unchanged(
    fd: int, status: "stat_result", before: tuple[int, int] | None
) -> bool:
    """Report whether a file is as it was given.

    Its time tells too little: one tick of the kernel's clock has room for a change,
    and writing through mmap leaves no trace in it.
    """
    if before is None or before[0] != status.st_size:
        return False
    total = 0
    while part := read(fd, _PART):
        total = crc32(part, total)
    lseek(fd, 0, 0)
    return total == before[1]
