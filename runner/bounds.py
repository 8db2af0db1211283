"""What a job's files may take, and until when its figures may be drawn."""

from os import times
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PLENTY = 1 << 32
# Of wall and CPU time, what is kept for the exit handlers and the files.
_KEPT, _KEPT_SECONDS = 0.1, 0.1
# Files that are listed as left out, and characters of their names.
_LISTED, _NAME = 64, 255


class Bounds:
    """The limits of one job on its files, and what they left out."""

    def __init__(
        self, request: "dict[str, Any]", given: dict[str, tuple[int, int]]
    ) -> None:
        """Read a J frame; its time runs from now on.

        given are the files that are there before the script, by their paths: size
        and checksum.
        """
        self.given = given
        self.files: int = request.get("output_files", _PLENTY)
        self.bytes: int = request.get("output_files_bytes", _PLENTY)
        self.file_bytes: int = request.get("file_bytes", _PLENTY)
        self._deadline = monotonic() + _shortened(request.get("wall_seconds", _PLENTY))
        self._cpu = _shortened(request.get("cpu_seconds", _PLENTY))
        self.omitted: list[dict[str, object]] = []
        # How many more were left out than are listed.
        self.more = 0

    def left(self) -> tuple[float, str]:
        """How many seconds are left for figures, and by which limit."""
        wall = self._deadline - monotonic()
        cpu = self._cpu - sum(times()[:4])
        return (wall, "wall") if wall <= cpu else (cpu, "cpu")

    def omit(self, name: str, size: int | None, limit: str) -> None:
        """Note a file that does not fit into a limit."""
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
