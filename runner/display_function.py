"""The function display() that a cell finds, as IPython has it."""

from runner.mime_bundle import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.displays import Display, Displays


def make(displays: "Displays") -> "Callable[..., DisplayHandle | None]":
    """Return the function."""

    def display(
        *values: object,
        include: "Iterable[str]" = (),
        exclude: "Iterable[str]" = (),
        raw: bool = False,
        clear: bool = False,
        display_id: object = None,
        **_others: object,
    ) -> "DisplayHandle | None":
        """Display values, each in all forms that it has."""
        if clear:
            displays.clear()
        selection = Selection(include, exclude, raw)
        shown = None
        for value in values:
            shown = displays.add(value, selection) or shown
        return DisplayHandle(displays, shown, display_id) if display_id else None

    return display


class DisplayHandle:
    """What display() returns if it has a display_id; as in IPython."""

    def __init__(
        self, displays: "Displays", display: "Display | None", display_id: object
    ) -> None:
        """Refer to a display, which is None if it was not kept."""
        self._displays, self._display = displays, display
        self.display_id = display_id if type(display_id) is str else "display"

    def display(self, value: object, **_options: object) -> None:
        """Display a value, and refer to that display from now on."""
        self._display = self._displays.add(value, Selection()) or self._display

    def update(self, value: object, **_options: object) -> None:
        """Replace what the display shows by a value."""
        if self._display is not None:
            self._displays.fill(self._display, value, Selection())
