"""matplotlib's figures as PNG files in outputs/.

Nothing here is imported that the script has not imported itself.
"""

import os
import sys

from runner import failure, outputs, stdio
from runner.script import hide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_modules = sys.modules
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_makedirs, _open, _fdopen, _unlink = os.makedirs, os.open, os.fdopen, os.unlink


class Album:
    """The figures of one job, each saved once."""

    def __init__(self, home: str) -> None:
        """Save into the folder for outputs that home has."""
        self._folder = home + "/" + outputs.FOLDER
        # By id(); the figures are kept, so that none gets another's.
        self._saved: dict[int, tuple[object, str]] = {}
        self._next = 1

    def save_open(self) -> None:
        """Save what is still open in pyplot. Figures that cannot be are told of."""
        helpers = _modules.get("matplotlib._pylab_helpers")
        if helpers is None:
            return
        try:
            managers = helpers.Gcf.get_all_fig_managers()
            numbered = [(manager.num, manager.canvas.figure) for manager in managers]
        except Exception:
            return  # the script has made something else of it
        for number, figure in numbered:
            try:
                self._save(figure, number)
            except Exception as error:
                told = failure.message(error)
                stdio.complain(f"figure {number} could not be saved: {told}")

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
        """Give the name of the file that has a figure, or the figure of axes.

        Raises whatever goes wrong while it is saved.
        """
        figure = shown.get_figure() if hasattr(shown, "get_figure") else shown
        figure = figure or shown
        if id(figure) not in self._saved:
            self._save(figure, self._next)
        return self._saved[id(figure)][1]

    def _save(self, figure: "Any", number: int) -> None:
        _makedirs(self._folder, exist_ok=True)
        while True:
            name = f"figure-{number}.png"
            path = f"{self._folder}/{name}"
            try:
                fd = _open(path, _NEW, 0o644)
                break
            except FileExistsError:
                number += 1  # the script's own, or one before
        try:
            with _fdopen(fd, "wb") as file:
                figure.savefig(file, format="png")
        except BaseException:
            _unlink(path)
            raise
        self._next = number + 1
        self._saved[id(figure)] = (figure, name)


hide(Album._save)
