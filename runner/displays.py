"""Collects what a cell displays, within bounds.

Each display is one value in one or more forms. Texts and JSON are encoded at once, so
that nothing large is kept; pictures become files of the job.
"""

from runner import (
    display_forms,
    figures,
    mime_bundle,
    plain_text,
    suggestions,
    text,
)
from runner.display_forms import (
    MAX_TEXT_BYTES,
    Form,
    InvalidError,
    OmittedError,
    Picture,
)
from runner.mime_bundle import PLAIN, Selection
from runner.notes import Notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.figures import FigureFiles
    from runner.output_limits import OutputLimits

MAX_DISPLAYS = 64
# The most forms of one display, the plain text included.
MAX_FORMS = 16
# The most bytes of all texts and JSON together, and of their encoding in the frame.
MAX_ALL_BYTES = 1 << 20
_MAX_ENCODED_BYTES = (2 << 20) - (256 << 10)
# The most forms that are listed as omitted.
MAX_OMITTED = 256
_NOTE_BYTES = 1024
_PNG = "image/png"


class Display:
    """One display: its number, its forms, and what is missing of them."""

    def __init__(self, number: int) -> None:
        """Start without forms. Numbers count from 1."""
        self.number = number
        self.forms: list[Form] = []
        self.omitted: list[dict[str, object]] = []

    def omit(self, kind: str, size: int | None, limit: str) -> None:
        """Record a form that exceeds a limit; its size may not be known."""
        self.omitted.append(_omission(self.number, kind, size, limit))


class Displays:
    """The displays of one job."""

    def __init__(
        self, figure_files: "FigureFiles", limits: "OutputLimits", notes: Notes
    ) -> None:
        """Start with none. Pictures count under limits; problems go to notes."""
        self._figure_files, self._limits, self._notes = figure_files, limits, notes
        self._displays: list[Display] = []
        # How many there were, with those that were not kept.
        self._count = 0
        # Whether the cell has ended, so that figures do not change any more.
        self._has_ended = False
        self._is_closed = False

    def clear(self) -> None:
        """Forget what was displayed."""
        self._displays.clear()
        self._count = 0

    def add(self, value: object, selection: Selection) -> Display | None:
        """Display a value; return the display if it is kept.

        A value with `_ipython_display_` displays itself.
        """
        if self._is_closed:
            return None
        problems: list[str] = []
        if mime_bundle.shows_itself(value, selection, problems):
            self._note(self._count + 1, problems)
            return None
        self._count += 1
        if len(self._displays) >= MAX_DISPLAYS:
            return None
        display = Display(self._count)
        self._displays.append(display)
        self.fill(display, value, selection)
        return display

    def fill(self, display: Display, value: object, selection: Selection) -> None:
        """Replace the forms of a display by those of a value."""
        display.forms, display.omitted = [], []
        problems: list[str] = []
        bundle = mime_bundle.of_value(value, selection, problems)
        if selection.takes(_PNG) and self._figure_files.is_figure(value):
            bundle[_PNG] = self._picture(value, problems)
        plain = bundle.pop(PLAIN, None)
        for kind in sorted(bundle, key=display_forms.rank):
            if bundle[kind] is not None:
                self._keep(display, kind, bundle[kind], problems)
        if issubclass(type(plain), str):
            self._keep_plain(display, plain_text.Description(plain, False, None))
        elif selection.takes(PLAIN) and not selection.is_raw:
            self._keep_plain(display, _describe(value, problems))
        self._note(display.number, problems)

    def show_value(self, value: object) -> None:
        """Display the value of the last expression; None is not shown."""
        if value is None:
            return
        self._has_ended = True
        try:
            self.add(value, Selection())
        except BaseException as error:
            self._note(self._count, [mime_bundle.raised("display()", error)])

    def close(self) -> None:
        """Name the files of pictures, and display the figures that are open.

        This is due once the figures are drawn. An open figure that looks as it did when
        it was displayed is not displayed again.
        """
        self._is_closed = True
        for display in self._displays:
            for form in display.forms:
                if form.figure is not None and form.data is None:
                    form.file_name = self._figure_files.name_of(form.figure)
        drawn = dict(self._figure_files.drawn)
        for figure in self._figure_files.open:
            self._display_open(figure, drawn)
        for display in self._displays:
            for form in display.forms:
                if form.data is not None and not form.file_name:
                    self._add_file(form, display.number)

    def encode(self, sent: set[bytes]) -> bytes:
        """Return the payload of the D frame; nothing if there is nothing in it.

        sent has the names of the files that were sent. May raise MemoryError.
        """
        shown: list[str] = []
        omitted: list[dict[str, object]] = []
        for display in self._displays[:MAX_DISPLAYS]:
            forms = []
            for form in display.forms:
                if form.encoded or form.file_name.encode() in sent:
                    forms.append(form.to_json())
                elif found := self._limits.omitted_pictures.get(form.file_name):
                    display.omit(form.kind, *found)
            if forms:
                shown.append(f'{{"forms":[{",".join(forms)}]}}')
                omitted += display.omitted
            elif display.omitted:
                omitted.append({**display.omitted[0], "type": ""})
        for number in range(MAX_DISPLAYS + 1, self._count + 1):
            if len(omitted) >= MAX_OMITTED:
                break
            omitted.append(_omission(number, "", None, "displays"))
        fields = [f'"displays":[{",".join(shown)}]'] if shown else []
        if omitted:
            fields.append(f'"displays_omitted":{text.to_json(omitted[:MAX_OMITTED])}')
        return text.to_utf8(f"{{{','.join(fields)}}}") if fields else b""

    def _picture(self, figure: object, problems: list[str]) -> object:
        """Draw a figure as it is now; return None if that is not possible.

        After the end of the cell, figures.py draws it, in the time that is left.
        """
        if self._has_ended:
            return Picture(figure, None)
        try:
            self._figure_files.reserve_name(figure)
            return Picture(figure, figures.to_png(figure))
        except Exception as error:
            problems.append(mime_bundle.raised("the drawing of the figure", error))
            return None

    def _display_open(self, figure: object, drawn: dict[str, bytes]) -> None:
        """Display a figure that is open at the end, unless that was done."""
        name = self._figure_files.name_of(figure)
        known = [
            form
            for display in self._displays
            for form in display.forms
            if form.figure is figure
        ]
        same = [one for one in known if one.data in (None, drawn.get(name))]
        for form in same:
            form.file_name = name
        if same or (known and name not in drawn):
            return
        self._count += 1
        if len(self._displays) >= MAX_DISPLAYS:
            return
        display = Display(self._count)
        form = Form(_PNG)
        form.figure, form.file_name = figure, name
        display.forms.append(form)
        self._displays.append(display)
        problems: list[str] = []
        self._keep_plain(display, _describe(figure, problems))
        self._note(display.number, problems)

    def _add_file(self, form: Form, number: int) -> None:
        """Add the file of a picture that was drawn when it was displayed."""
        data = form.data or b""
        if form.figure is not None:
            form.file_name = self._figure_files.add_drawn(form.figure, data)
        else:
            form.file_name = self._figure_files.add_picture(number, form.suffix, data)

    def _keep(
        self, display: Display, kind: str, value: object, problems: list[str]
    ) -> None:
        """Add one form to a display, or record why it is missing."""
        if not display_forms.is_media_type(kind):
            problems.append(f"{kind} is not a media type")
            return
        if len(display.forms) >= MAX_FORMS - 1:
            display.omit(kind, None, "display_forms")
            return
        changes = Notes()
        try:
            form = display_forms.make(kind, value, self._room(), changes)
        except OmittedError as omitted:
            display.omit(kind, omitted.size, omitted.limit)
            if omitted.suffix:
                name = f"display-{display.number}.{omitted.suffix}"
                self._limits.omit(name, omitted.size, omitted.limit)
        except InvalidError as error:
            problems.append(f"{kind} {error}")
        except Exception as error:
            problems.append(mime_bundle.raised(f"reading {kind}", error))
        else:
            display.forms.append(form)
            problems += (f"{kind}: {change}" for change in changes.texts())

    def _keep_plain(self, display: Display, plain: "plain_text.Description") -> None:
        """Add the plain text, cut if it is too long."""
        room = self._room()
        limit = min(MAX_TEXT_BYTES, max(0, room.content))
        shown, whole = display_forms.cut(plain.text, limit, was_cut=plain.was_cut)
        if whole is not None:
            size = plain.whole_bytes if plain.was_cut else whole
            display.omit(PLAIN, size, "display_bytes")
        try:
            display.forms.append(display_forms.make(PLAIN, shown, room, Notes()))
        except OmittedError as omitted:
            if whole is None:
                display.omit(PLAIN, omitted.size, omitted.limit)

    def _room(self) -> display_forms.Room:
        """Return how much more may be kept."""
        forms = [form for display in self._displays for form in display.forms]
        files = [form.data for form in forms if form.data is not None]
        return display_forms.Room(
            content=MAX_ALL_BYTES - sum(form.size for form in forms),
            encoded=_MAX_ENCODED_BYTES - sum(form.encoded_bytes for form in forms),
            files=self._limits.files - len(files),
            files_bytes=self._limits.bytes - sum(map(len, files)),
            file_bytes=self._limits.file_bytes,
        )

    def _note(self, number: int, problems: list[str]) -> None:
        for problem in problems:
            self._notes.add(text.shorten(f"display {number}: {problem}", _NOTE_BYTES))


def _omission(
    number: int, kind: str, size: int | None, limit: str
) -> dict[str, object]:
    omission: dict[str, object] = {"display": number, "type": kind, "limit": limit}
    if size is not None:
        omission["bytes"] = size
    return omission


def _describe(value: object, problems: list[str]) -> "plain_text.Description":
    """Describe a value, also one whose own description fails."""
    try:
        return plain_text.describe(value, MAX_TEXT_BYTES)
    except Exception as error:
        problem = mime_bundle.raised("__repr__", error)
        problems.append(problem)
        name, _ = suggestions.for_type(type(value))
        return plain_text.Description(f"<{name}: {problem}>", False, None)
