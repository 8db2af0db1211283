"""Makes the script of a job, by the entry that the request names."""

from runner.script import Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make_script(request: "dict[str, Any]") -> Script:
    """Return the script of a J frame. Raises ValueError for an unknown entry."""
    source, entry = request["script"], request.get("entry")
    if entry is None:
        return Script(source)
    # Imported only now: most jobs need neither.
    if entry == "script":
        from runner.program import Program

        return Program(source, request.get("args") or [])
    if entry == "cell":
        from runner.cell import Cell

        return Cell(source)
    raise ValueError(f"an entry {entry!r}")
