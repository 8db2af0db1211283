"""Sends the regular files that the script left.

Those in outputs/ come first, then its figures, then new and changed files elsewhere in
its working directory, as far as the limits allow. This runs in the sandbox, as the
job's user, after the script: files that the script planted can only expose what it
could read anyway. The worker opens nothing: it receives names and bytes, limits both,
and trusts neither.
"""

# Bound at import: a script that breaks `os` still gets its report.
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

    from runner.channel import Channel
    from runner.notes import Notes
    from runner.output_limits import OutputLimits

FOLDER = "outputs"
# For temporary files: hidden, so it is not sent.
TEMPORARY = ".tmp"
# In addition to names that begin with a dot.
_EXCLUDED_NAMES = (b"__pycache__",)
_EXCLUDED_AT_TOP = (b"script.py", FOLDER.encode())
# How deep folders are searched.
_MAX_DEPTH = 16
# Follow no link, and do not block on a pipe.
_OPEN_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
_TYPE_MASK, _REGULAR, _DIRECTORY = 0o170000, 0o100000, 0o040000
# Of names, as os.fsencode() has it: that one would use what the script made of os.
_ENCODING, _ERRORS = sys.getfilesystemencoding(), "surrogateescape"
_CHUNK_BYTES = 1 << 16
_ZEROS = memoryview(bytes(_CHUNK_BYTES))
# More than any limit on open files.
_MAX_FDS = 1 << 16


def prepare(home: str) -> None:
    """Make the folders that a script finds: outputs/ and TMPDIR."""
    for name in (FOLDER, TEMPORARY):
        try:
            make_folder(f"{home}/{name}", 0o755 if name == FOLDER else 0o700)
        except OSError:
            pass  # the script will notice
    os.environ["TMPDIR"] = f"{home}/{TEMPORARY}"
    if tempfile := sys.modules.get("tempfile"):
        tempfile.tempdir = None  # type: ignore[attr-defined]  # read again from TMPDIR
    os.mkdir = _mkdir_accepting(f"{home}/{FOLDER}")


def _mkdir_accepting(folder: str) -> "Any":
    """Return an os.mkdir that accepts the folder as new, once and while it is empty.

    Older scripts create the folder themselves, and would fail.
    """
    fresh = [folder]

    def mkdir(path: "Any", mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """Create a directory."""
        try:
            make_folder(path, mode, dir_fd=dir_fd)
        except FileExistsError:
            if not fresh or dir_fd is not None or not _is_empty_folder(path, folder):
                raise
            fresh.clear()

    return mkdir


def _is_empty_folder(path: "Any", folder: str) -> bool:
    return os.path.abspath(fsdecode(path)) == folder and not listdir(folder)


def send(
    to: "Channel",
    home: str,
    limits: "OutputLimits",
    drawn: list[tuple[str, bytes]],
    notes: "Notes",
) -> set[bytes]:
    """Send an F frame for each file, and return their names.

    Files that do not fit are recorded in limits. Raises OSError if the worker is gone
    or refuses more.
    """
    sender = _Sender(to, limits)
    top = _open_top(to, home)
    has_files = top >= 0 and _has_files(top, _MAX_DEPTH + 1, at_top=True)
    if has_files:
        flush_files()
        for name, fd, status in _walk_outputs(top, FOLDER):
            # All of them: the worker refuses what exceeds the limits.
            sender.send_file(name, fd, status.st_size)
    for figure_name, data in drawn:
        if sender.has_room(figure_name.encode(), len(data)):
            sender.send_data(figure_name.encode(), data)
    if not has_files:
        return sender.names
    for name, fd, status in _walk(top, b"", _MAX_DEPTH, skip_hidden=True):
        if _is_unchanged(
            fd, status, limits.inputs.get(name.decode(_ENCODING, _ERRORS))
        ):
            continue
        if name in sender.names:
            shown = name.decode("utf-8", "replace")[:255]
            notes.add(f"{shown}: left out, since outputs/ has a file of that name")
        elif sender.has_room(name, status.st_size):
            sender.send_file(name, fd, status.st_size)
    return sender.names


def _open_top(to: "Channel", home: str) -> int:
    """Open the working directory; return -1 if that is not possible."""
    try:
        return open_file(home, _OPEN_FLAGS | O_DIRECTORY)
    except OSError as error:
        if error.errno != EMFILE:
            return -1
    # The script used up the descriptors, and no longer needs its own.
    flush_files()
    closerange(to.fd + 1, _MAX_FDS)
    try:
        return open_file(home, _OPEN_FLAGS | O_DIRECTORY)
    except OSError:
        return -1


class _Sender:
    """Sends files and counts down the limits."""

    def __init__(self, to: "Channel", limits: "OutputLimits") -> None:
        self._to, self._limits = to, limits
        self._files_left, self._bytes_left = limits.files, limits.bytes
        self.names: set[bytes] = set()

    def has_room(self, name: bytes, size: int) -> bool:
        """Report whether one more file fits; record it if it does not."""
        if self._files_left > 0 and size <= self._bytes_left:
            return True
        limit = "output_files" if self._files_left <= 0 else "output_files_bytes"
        self._limits.omit(name.decode("utf-8", "replace"), size, limit)
        return False

    def send_data(self, name: bytes, data: bytes) -> None:
        """Send a file from memory."""
        self._send_header(name, len(data))
        self._to.write(data)

    def send_file(self, name: bytes, fd: int, size: int) -> None:
        """Send an open file."""
        self._send_header(name, size)
        while size > 0:
            # Threads and children of the script may still shorten it. The announced
            # size is sent.
            try:
                chunk = read(fd, min(size, _CHUNK_BYTES))
            except (OSError, MemoryError):
                chunk = b""
            rest = chunk or _ZEROS[:size]
            self._to.write(rest)
            size -= len(rest)

    def _send_header(self, name: bytes, size: int) -> None:
        self.names.add(name)
        self._files_left, self._bytes_left = (
            self._files_left - 1,
            self._bytes_left - size,
        )
        head = len(name).to_bytes(2, "big") + name
        length = min(len(head) + size, channel.MAX_PAYLOAD)
        self._to.send_header(channel.OUTPUT, length)
        self._to.write(head)


def flush_files() -> None:
    """Flush the files that the script left open.

    Python does that at its exit, which a job does not reach. Objects from the zygote
    are frozen and not listed here.
    """
    try:
        objects = get_objects()
    except MemoryError:
        return  # the report matters more
    for obj in objects:
        for kind in (TextIOWrapper, BufferedWriter, BufferedRandom):
            if issubclass(type(obj), kind):
                try:
                    kind.flush(obj)
                except BaseException:
                    break  # closed, full, or a subclass of the script


def _has_files(folder: int, depth: int, *, at_top: bool = False) -> bool:
    """Report whether there is any file; nearly every job has none."""
    for name, kind in _entries(folder):
        if kind == _REGULAR:
            if not (at_top and name in _EXCLUDED_AT_TOP):
                return True
        elif depth > 0 and not (at_top and name.startswith(b".")):
            fd = _open(folder, name, _DIRECTORY)
            if fd >= 0:
                try:
                    if _has_files(fd, depth - 1):
                        return True
                finally:
                    close(fd)
    return False


def _walk_outputs(top: int, name: str) -> "Iterator[tuple[bytes, int, stat_result]]":
    folder = _open(top, name.encode(), _DIRECTORY)
    if folder >= 0:
        try:
            yield from _walk(folder, b"", _MAX_DEPTH, skip_hidden=False)
        finally:
            close(folder)


def _walk(
    folder: int, prefix: bytes, depth: int, *, skip_hidden: bool
) -> "Iterator[tuple[bytes, int, stat_result]]":
    """Yield the path, descriptor and status of each regular file below a folder.

    With skip_hidden, skip those that are never sent.
    """
    for name, kind in _entries(folder):
        hidden = name.startswith(b".") or name in _EXCLUDED_NAMES
        if skip_hidden and (hidden or (not prefix and name in _EXCLUDED_AT_TOP)):
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
                yield from _walk(fd, below, depth - 1, skip_hidden=skip_hidden)
        finally:
            close(fd)


def _entries(folder: int) -> "Iterator[tuple[bytes, int]]":
    """Yield names and kinds of files and folders, in order; skip links and devices."""
    try:
        names = sorted(n.encode(_ENCODING, _ERRORS) for n in listdir(folder))
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
    """Open a file or folder; return -1 if it is no longer one."""
    flags = _OPEN_FLAGS | O_DIRECTORY if kind == _DIRECTORY else _OPEN_FLAGS
    try:
        fd = open_file(name, flags, dir_fd=folder)
    except OSError:
        return -1  # no permission, or replaced by a link
    opened = fstat(fd)
    if opened.st_mode & _TYPE_MASK == kind and (
        kind == _REGULAR or _is_named(folder, name, opened)
    ):
        return fd
    close(fd)
    return -1


def _is_named(folder: int, name: bytes, opened: "stat_result") -> bool:
    """Report whether a name is that of an open folder, and not of a link to it.

    gVisor follows a link to a folder in spite of O_NOFOLLOW.
    """
    try:
        named = stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _is_unchanged(
    fd: int, status: "stat_result", original: tuple[int, int] | None
) -> bool:
    """Report whether an input file is unchanged.

    Its time is not enough: a change may fit into one tick of the kernel's clock, and
    writing through mmap leaves no trace in it.
    """
    if original is None or original[0] != status.st_size:
        return False
    checksum = 0
    while chunk := read(fd, _CHUNK_BYTES):
        checksum = crc32(chunk, checksum)
    lseek(fd, 0, 0)
    return checksum == original[1]
