"""Frames between the worker and the runner: kind, length, payload."""

# Bound at import: a script that breaks `os` still gets its report.
from os import read, set_inheritable, write

FILE = b"I"
JOB = b"J"
READY = b"Y"
OUTPUT = b"F"
DISPLAYS = b"D"
NOTES = b"N"
RESULT = b"R"
FAILURE = b"E"

MAX_PAYLOAD = 2**32 - 1
_LENGTH_BYTES = 4


class Channel:
    """One connected stream socket. It is closed when the process exits."""

    def __init__(self, fd: int) -> None:
        """Use fd. Programs that the script executes do not inherit it."""
        self.fd = fd
        set_inheritable(fd, False)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame. Raises OSError if the worker is gone."""
        self.send_header(kind, len(payload))
        self.write(payload)

    def send_header(self, kind: bytes, length: int) -> None:
        """Send only the header of a frame, which the worker refuses for its length."""
        self.write(kind + length.to_bytes(_LENGTH_BYTES, "big"))

    def receive(self) -> tuple[bytes, int]:
        """Block until a frame comes; return its kind and the length of its payload.

        The caller reads the payload. Raises EOFError if no frame comes.
        """
        head = self.read(1 + _LENGTH_BYTES)
        return head[:1], int.from_bytes(head[1:], "big")

    def write(self, data: "bytes | memoryview") -> None:
        """Send bytes. Raises OSError if the worker is gone."""
        rest = memoryview(data)
        while rest:
            rest = rest[write(self.fd, rest) :]

    def read(self, length: int) -> bytes:
        """Read exactly length bytes. Raises EOFError if fewer come."""
        parts = []
        while length:
            part = self.read_some(length)
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def read_some(self, most: int) -> bytes:
        """Read what has arrived, at most `most` bytes. Raises EOFError if none come."""
        part = read(self.fd, min(most, 1 << 20))
        if not part:
            raise EOFError("the channel was closed")
        return part
