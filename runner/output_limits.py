"""Limits on a job's files, and the time left to draw its figures."""

from os import times
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLENTY = 1 << 32
# Wall and CPU time kept for exit handlers and files: a share, or seconds if more.
_KEPT, _KEPT_SECONDS = 0.1, 0.1
# The most files listed as omitted, and characters of their names.
_LISTED, _NAME = 64, 255


class Bounds:
    """The limits on the files of one job, and the files that were omitted."""

    def __init__(
        self, request: "dict[str, Any]", given: dict[str, tuple[int, int]]
    ) -> None:
        """Read the limits of a J frame. Their time starts now.

        given maps the path of each input file to its size and checksum.
        """
        self.given = given
        self.files: int = request.get("output_files", _PLENTY)
        self.bytes: int = request.get("output_files_bytes", _PLENTY)
        self.file_bytes: int = request.get("file_bytes", _PLENTY)
        self._deadline = monotonic() + _shortened(request.get("wall_seconds", _PLENTY))
        self._cpu = _shortened(request.get("cpu_seconds", _PLENTY))
        self.omitted: list[dict[str, object]] = []
        # How many files were omitted and not listed.
        self.more = 0

    def left(self) -> tuple[float, str]:
        """Return the seconds left for figures, and which limit ends them."""
        wall = self._deadline - monotonic()
        cpu = self._cpu - sum(times()[:4])
        return (wall, "wall") if wall <= cpu else (cpu, "cpu")

    def omit(self, name: str, size: int | None, limit: str) -> None:
        """Record a file that exceeds a limit."""
        if len(self.omitted) < _LISTED:
            found: dict[str, object] = {
                "name": name[:_NAME],
                "size": size,
                "limit": limit,
            }
            self.omitted.append(found)
        else:
            self.more += 1


def _shortened(seconds: float) -> float:
    return seconds - max(seconds * _KEPT, _KEPT_SECONDS)
