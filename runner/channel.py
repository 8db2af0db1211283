"""Frames between the worker and the runner: kind, length, payload."""

# Bound at import, so that a script which breaks `os` does not break its answer.
from os import read, set_inheritable, write

FILE = b"I"
JOB = b"J"
READY = b"Y"
OUTPUT = b"F"
NOTES = b"N"
RESULT = b"R"
FAILURE = b"E"

MAX_PAYLOAD = 2**32 - 1
_LENGTH_BYTES = 4


class Channel:
    """One connected stream socket. Owns nothing: process end closes it."""

    def __init__(self, fd: int) -> None:
        """Use fd, which programs that the script executes do not inherit."""
        self.fd = fd
        set_inheritable(fd, False)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame. Raises OSError when the worker is gone."""
        self.send_header(kind, len(payload))
        self.write(payload)

    def send_header(self, kind: bytes, length: int) -> None:
        """Send only the head of a frame that the worker refuses by its length."""
        self.write(kind + length.to_bytes(_LENGTH_BYTES, "big"))

    def receive(self) -> tuple[bytes, int]:
        """Wait for a frame: its kind, and the length of the payload.

        That is the caller's to read. EOFError if no frame comes.
        """
        head = self.read(1 + _LENGTH_BYTES)
        return head[:1], int.from_bytes(head[1:], "big")

    def write(self, data: "bytes | memoryview") -> None:
        """Send bytes. Raises OSError when the worker is gone."""
        rest = memoryview(data)
        while rest:
            rest = rest[write(self.fd, rest) :]

    def read(self, length: int) -> bytes:
        """Read as many bytes. EOFError if fewer come."""
        parts = []
        while length:
            part = self.read_some(length)
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def read_some(self, most: int) -> bytes:
        """Read what is there, at most so many bytes. EOFError if none come."""
        part = read(self.fd, min(most, 1 << 20))
        if not part:
            raise EOFError("the channel was closed")
        return part
