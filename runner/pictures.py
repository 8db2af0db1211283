"""matplotlib's figures as PNG files.

Nothing here is imported that the script has not imported itself.
"""

import _signal  # type: ignore[import-not-found]
import os
import sys
from io import BytesIO

from runner import failure, outputs, stdio, text
from runner.script import hide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.bounds import Bounds
    from runner.notes import Notes

_modules = sys.modules
_exists = os.path.lexists
# Of a note on what went wrong.
_NOTE_BYTES = 1024


class _OutOfTimeError(BaseException):
    """Ends the drawing of a figure; not an Exception, which matplotlib may catch."""


class Album:
    """The figures of one job: named first, drawn once the result is known."""

    def __init__(self, home: str) -> None:
        """Name them beside what home's folder for outputs has."""
        self._folder = home + "/" + outputs.FOLDER
        # By id(); the figures are kept, so that none gets another's.
        self._named: dict[int, tuple[Any, str]] = {}
        self._next = 1
        # What was drawn: names and contents.
        self.drawn: list[tuple[str, bytes]] = []

    def name_open(self) -> None:
        """Name what is still open in pyplot."""
        helpers = _modules.get("matplotlib._pylab_helpers")
        if helpers is None:
            return
        try:
            managers = helpers.Gcf.get_all_fig_managers()
            numbered = [(manager.num, manager.canvas.figure) for manager in managers]
        except Exception:
            return  # the script has made something else of it
        for number, figure in numbered:
            self._name(figure, number)

    def types(self) -> tuple[type, ...]:
        """The types that name_of takes, where the script has imported matplotlib."""
        found = (
            getattr(_modules.get(module), name, None)
            for module, name in (
                ("matplotlib.figure", "Figure"),
                ("matplotlib.axes", "Axes"),
            )
        )
        return tuple(kind for kind in found if isinstance(kind, type))

    def name_of(self, shown: "Any") -> str:
        """Give the name of the file that will have a figure, or the figure of axes."""
        figure = shown.get_figure() if hasattr(shown, "get_figure") else shown
        figure = figure or shown
        if id(figure) not in self._named:
            self._name(figure, self._next)
        return self._named[id(figure)][1]

    def _name(self, figure: "Any", number: int) -> None:
        taken = {name for _, name in self._named.values()}
        while True:
            name = f"figure-{number}.png"
            number += 1
            if name not in taken and not _exists(f"{self._folder}/{name}"):
                break  # else the script's own, or one before
        self._next = number
        self._named[id(figure)] = (figure, name)

    def draw(self, bounds: "Bounds", notes: "Notes") -> None:
        """Draw them, as far as the limits and the time allow.

        They stay in memory: a file could be one too many, or too large. What does
        not fit is left to bounds, and what goes wrong is told on stderr.
        """
        files, room = bounds.files, bounds.bytes
        for figure, name in self._named.values():
            seconds, limit = bounds.left()
            if files <= 0 or seconds <= 0:
                bounds.omit(name, None, "output_files" if files <= 0 else limit)
                continue
            try:
                data = _draw(figure, seconds)
            except _OutOfTimeError:
                bounds.omit(name, None, limit)
                continue
            except Exception as error:
                why = f"{name} could not be saved: {failure.message(error)}"
                stdio.complain(why)
                notes.add(text.shorten(why, _NOTE_BYTES))
                continue
            size = len(data)
            if size > bounds.file_bytes:
                bounds.omit(name, size, "file_size")
            elif size > room:
                bounds.omit(name, size, "output_files_bytes")
            else:
                self.drawn.append((name, data))
                files, room = files - 1, room - size


def _draw(figure: "Any", seconds: float) -> bytes:
    """Draw one figure as PNG. Raises _OutOfTimeError, or what matplotlib does."""
    _signal.signal(_signal.SIGALRM, _stop)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGALRM,))
    _signal.setitimer(_signal.ITIMER_REAL, seconds)
    try:
        file = BytesIO()
        figure.savefig(file, format="png")
        return file.getvalue()
    finally:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.signal(_signal.SIGALRM, _signal.SIG_IGN)


def _stop(*_: object) -> None:
    raise _OutOfTimeError


hide(Album.draw, _draw)
