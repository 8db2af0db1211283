"""Saves matplotlib's figures as PNG.

This module imports nothing that the script has not imported itself.
"""

import _signal  # type: ignore[import-not-found]
import os
import sys
from io import BytesIO

from runner import failure, outputs, stdio, text
from runner.script import hide_from_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.notes import Notes
    from runner.output_limits import OutputLimits

_modules = sys.modules
_exists = os.path.lexists
# The most bytes of a note on an error.
_NOTE_BYTES = 1024


class _OutOfTimeError(BaseException):
    """Ends the drawing of a figure; no Exception, which matplotlib may catch.

    limit is "wall" or "cpu".
    """

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class FigureFiles:
    """The figures of one job: named first, drawn once the result is known."""

    def __init__(self, home: str) -> None:
        """Name figures so that they differ from the files in home's outputs/."""
        self._folder = home + "/" + outputs.FOLDER
        # By id(). The figures are kept, so that no id is reused.
        self._names_by_id: dict[int, tuple[Any, str]] = {}
        # Of figures that were drawn before the end, and need not be drawn then.
        self._reserved_by_id: dict[int, tuple[Any, str]] = {}
        self._next = 1
        # Names and contents of the figures drawn, and of other pictures.
        self.drawn: list[tuple[str, bytes]] = []
        # The figures that were open in pyplot when the script ended.
        self.open: list[Any] = []

    def name_open_figures(self) -> None:
        """Name the figures that are open in pyplot."""
        helpers = _modules.get("matplotlib._pylab_helpers")
        if helpers is None:
            return
        try:
            managers = helpers.Gcf.get_all_fig_managers()
            numbered = [(manager.num, manager.canvas.figure) for manager in managers]
        except Exception:
            return  # the script replaced it
        for number, figure in numbered:
            self._name(figure, number)
            self.open.append(figure)

    def types(self) -> tuple[type, ...]:
        """Return the types that name_of takes; none if matplotlib is not imported."""
        found = (
            getattr(_modules.get(module), name, None)
            for module, name in (
                ("matplotlib.figure", "Figure"),
                ("matplotlib.axes", "Axes"),
            )
        )
        return tuple(kind for kind in found if isinstance(kind, type))

    def is_figure(self, value: object) -> bool:
        """Report whether the value is a figure; axes are none."""
        return issubclass(type(value), self.types()[:1])

    def name_of(self, figure_or_axes: "Any") -> str:
        """Return the name of the file for a figure, or for the figure of axes."""
        figure = figure_or_axes
        if hasattr(figure, "get_figure"):
            figure = figure.get_figure() or figure_or_axes
        if id(figure) not in self._names_by_id:
            self._name(figure, self._next)
        return self._names_by_id[id(figure)][1]

    def _name(self, figure: "Any", number: int) -> None:
        if id(figure) in self._reserved_by_id:
            self._names_by_id[id(figure)] = self._reserved_by_id.pop(id(figure))
            return
        name, number = self._free_name("figure", number, "png")
        self._next = number + 1
        self._names_by_id[id(figure)] = (figure, name)

    def _free_name(self, stem: str, number: int, suffix: str) -> tuple[str, int]:
        """Return a name that neither the script nor a picture has, and its number."""
        taken = {name for _, name in self._names_by_id.values()}
        taken.update(name for _, name in self._reserved_by_id.values())
        taken.update(name for name, _ in self.drawn)
        while True:
            name = f"{stem}-{number}.{suffix}"
            if name not in taken and not _exists(f"{self._folder}/{name}"):
                return name, number
            number += 1

    def reserve_name(self, figure: "Any") -> None:
        """Reserve a name for a figure that is displayed before the end."""
        if id(figure) not in self._names_by_id | self._reserved_by_id:
            number = getattr(figure, "number", None)
            number = number if type(number) is int else self._next
            name, _ = self._free_name("figure", number, "png")
            self._reserved_by_id[id(figure)] = (figure, name)

    def add_drawn(self, figure: "Any", data: bytes) -> str:
        """Add what a figure looked like when it was displayed; return the name.

        It is the reserved one, unless the figure is drawn once more.
        """
        if id(figure) in self._reserved_by_id:
            _, name = self._reserved_by_id.pop(id(figure))
        else:
            name, _ = self._free_name("figure", 1, "png")
        self.drawn.append((name, data))
        return name

    def add_picture(self, number: int, suffix: str, data: bytes) -> str:
        """Add the picture of a display; return its name."""
        name, _ = self._free_name("display", number, suffix)
        self.drawn.append((name, data))
        return name

    def draw(self, limits: "OutputLimits", notes: "Notes") -> None:
        """Draw the figures, as far as the limits and the time allow.

        They stay in memory: as files, they could exceed the script's limits. Figures
        that do not fit are recorded in limits; errors go to stderr and notes.
        """
        files_left, bytes_left = limits.files, limits.bytes
        used_up = ""  # the limit that ended the drawing
        for figure, name in self._names_by_id.values():
            if used_up or files_left <= 0:
                limits.omit(name, None, used_up or "output_files")
                continue
            try:
                data = _draw(figure, *limits.time_left())
            except _OutOfTimeError as error:
                used_up = error.limit
                limits.omit(name, None, used_up)
                continue
            except Exception as error:
                message = f"{name} could not be saved: {failure.message(error)}"
                stdio.write_stderr(message)
                notes.add(text.shorten(message, _NOTE_BYTES))
                continue
            size = len(data)
            if size > limits.file_bytes:
                limits.omit(name, size, "file_size")
            elif size > bytes_left:
                limits.omit(name, size, "output_files_bytes")
            else:
                self.drawn.append((name, data))
                files_left, bytes_left = files_left - 1, bytes_left - size


def to_png(figure: "Any") -> bytes:
    """Draw one figure as PNG, as it is now. Raises what matplotlib raises."""
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _draw(figure: "Any", wall: float, cpu: float) -> bytes:
    """Draw one figure as PNG, in so many seconds of wall time and of CPU time.

    Raises _OutOfTimeError, or what matplotlib raises.
    """
    if min(wall, cpu) <= 0:
        raise _OutOfTimeError("wall" if wall <= 0 else "cpu")
    _set_timers(wall, cpu, _raise_out_of_time)
    try:
        return to_png(figure)
    finally:
        _set_timers(0, 0, _signal.SIG_IGN)


def _set_timers(wall: float, cpu: float, handler: "Any") -> None:
    """Start both timers with a handler for their signals; 0 stops a timer."""
    for number, timer, seconds in (
        (_signal.SIGALRM, _signal.ITIMER_REAL, wall),
        (_signal.SIGPROF, _signal.ITIMER_PROF, cpu),
    ):
        if not seconds:
            _signal.setitimer(timer, 0)
        _signal.signal(number, handler)
        if seconds:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (number,))
            _signal.setitimer(timer, seconds)


def _raise_out_of_time(number: int, _frame: object) -> None:
    raise _OutOfTimeError("wall" if number == _signal.SIGALRM else "cpu")


hide_from_warnings(FigureFiles.draw, _draw, to_png)
