"""Limits on a job's files, and the time left to draw its figures."""

from os import times
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_UNLIMITED = 1 << 32
# Wall and CPU time kept for exit handlers and files: a share, or seconds if more.
_RESERVED_SHARE, _RESERVED_SECONDS = 0.1, 0.1
# The most files listed as omitted, and characters of their names.
_MAX_LISTED, _MAX_NAME_LENGTH = 64, 255


class OutputLimits:
    """The limits on the files of one job, and the files that were omitted."""

    def __init__(
        self, request: "dict[str, Any]", inputs: dict[str, tuple[int, int]]
    ) -> None:
        """Read the limits of a J frame. Their time starts now.

        inputs maps the path of each input file to its size and checksum.
        """
        self.inputs = inputs
        self.files: int = request.get("output_files", _UNLIMITED)
        self.bytes: int = request.get("output_files_bytes", _UNLIMITED)
        self.file_bytes: int = request.get("file_bytes", _UNLIMITED)
        self._deadline = monotonic() + _without_reserve(
            request.get("wall_seconds", _UNLIMITED)
        )
        self._cpu = _without_reserve(request.get("cpu_seconds", _UNLIMITED))
        self.omitted: list[dict[str, object]] = []
        # How many files were omitted and not listed.
        self.unlisted = 0
        # The sizes and limits of the pictures among them, by name.
        self.omitted_pictures: dict[str, tuple[int | None, str]] = {}

    def time_left(self) -> tuple[float, float]:
        """Return the seconds of wall time and of CPU time left for figures."""
        return self._deadline - monotonic(), self._cpu - sum(times()[:4])

    def omit(self, name: str, size: int | None, limit: str) -> None:
        """Record a file that exceeds a limit."""
        if name.startswith(("figure-", "display-")):
            self.omitted_pictures[name] = (size, limit)
        if len(self.omitted) < _MAX_LISTED:
            omission: dict[str, object] = {
                "name": name[:_MAX_NAME_LENGTH],
                "size": size,
                "limit": limit,
            }
            self.omitted.append(omission)
        else:
            self.unlisted += 1


def _without_reserve(seconds: float) -> float:
    return seconds - max(seconds * _RESERVED_SHARE, _RESERVED_SECONDS)
