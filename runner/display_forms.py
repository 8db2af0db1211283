"""Encodes the forms of a display, within bounds."""

import sys
from binascii import Error as Base64Error
from binascii import a2b_base64

from runner import failure, serialize, text
from runner.notes import Notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The most bytes of the text or the JSON of one form.
MAX_TEXT_BYTES = 256 << 10

# The richest first. Other types come before these, as in JupyterLab.
_ORDER = (
    "text/html",
    "text/markdown",
    "text/latex",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "application/pdf",
    "application/json",
    "application/javascript",
    "text/plain",
)
_SVG = "image/svg+xml"
# How the files of a type end.
_SUFFIXES = {
    _SVG: "svg",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "application/pdf": "pdf",
}
# Types whose text is base64, as IPython has them.
_BASE64_PREFIXES = ("image/", "audio/", "video/", "application/pdf")
_LETTERS_AND_DIGITS = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)
_IN_NAMES = _LETTERS_AND_DIGITS | frozenset("!#$&^_.+-")
_MAX_NAME = 63


class OmittedError(Exception):
    """A form exceeds a limit. size is None if it is not known."""

    def __init__(self, size: int | None, limit: str, suffix: str = "") -> None:
        """Keep size and limit, and how its file would end."""
        super().__init__(limit)
        self.size, self.limit, self.suffix = size, limit, suffix


class InvalidError(Exception):
    """A form does not fit its type. The text is the rest of a sentence."""


class Picture:
    """A figure, and its PNG from the moment at which it was displayed, if any."""

    def __init__(self, figure: object, data: bytes | None) -> None:
        self.figure, self.data = figure, data


class Form:
    """One representation of a value: text and JSON, or a file."""

    def __init__(self, kind: str, encoded: str = "", size: int = 0) -> None:
        """Keep the media type, and the JSON of the form; size is its content's."""
        self.kind, self.encoded, self.size = kind, encoded, size
        self.encoded_bytes = len(encoded.encode())
        # The content of the form's file, if it has one and it is drawn already.
        self.data: bytes | None = None
        # The figure that the file shows.
        self.figure: object = None
        self.file_name = ""

    @property
    def suffix(self) -> str:
        """Return how the name of the form's file ends."""
        return suffix_of(self.kind)

    def to_json(self) -> str:
        """Return the form as an item of the D frame."""
        if self.encoded:
            return self.encoded
        return text.to_json({"type": self.kind, "file": self.file_name})


class Room:
    """How much more there may be, of all displays together."""

    def __init__(
        self, content: int, encoded: int, files: int, files_bytes: int, file_bytes: int
    ) -> None:
        """Keep bytes of text and JSON, of their encoding, and the limits on files."""
        self.content, self.encoded = content, encoded
        self.files, self.files_bytes, self.file_bytes = files, files_bytes, file_bytes


def rank(kind: str) -> int:
    """Return the place of a type among the forms of a display."""
    return _ORDER.index(kind) if kind in _ORDER else -1


def suffix_of(kind: str) -> str:
    """Return how the files of a type end."""
    return _SUFFIXES.get(kind, "bin")


def is_media_type(kind: str) -> bool:
    """Report whether a text is a media type without parameters (RFC 6838, 4.2)."""
    top, slash, sub = kind.partition("/")
    return bool(slash) and all(
        0 < len(name) <= _MAX_NAME
        and name[0] in _LETTERS_AND_DIGITS
        and _IN_NAMES.issuperset(name)
        for name in (top, sub)
    )


def make(kind: str, value: "Any", room: Room, changes: Notes) -> Form:
    """Make the form of a value that a method returned. Changes of JSON are noted.

    Raises OmittedError, InvalidError, or what reading the value raises.
    """
    if type(value) is Picture:
        form = Form(kind) if value.data is None else _file(kind, value.data, room)
        form.figure = value.figure
        return form
    if issubclass(type(value), str):
        plain = str.__str__(value)
        if kind == _SVG:
            return _file(kind, _utf8_within(plain, room.file_bytes, kind), room)
        if kind.startswith(_BASE64_PREFIXES) and not kind.endswith("+xml"):
            return _file(kind, _from_base64(plain), room)
        return _text(kind, plain, room)
    if issubclass(type(value), bytes):
        return _file(kind, bytes.__getitem__(value, slice(None)), room)
    if kind == "application/json" or kind.endswith("+json") or _is_json(value):
        return _json(kind, value, room, changes)
    raise InvalidError(f"is not text but {failure.type_name(type(value))}")


def cut(value: str, limit: int, *, was_cut: bool) -> tuple[str, int | None]:
    """Cut a text to limit bytes of UTF-8, with a mark at its end.

    Returns it and the length of the whole, None if nothing was cut. A text that was cut
    already has the mark in any case.
    """
    whole = text.utf8_length(value)
    if not was_cut and whole <= limit:
        return value, None
    mark = "…".encode()
    start = text.to_utf8(value[:limit])[: max(0, limit - len(mark))]
    return (start.decode("utf-8", "ignore") + mark.decode()), whole


def _text(kind: str, value: str, room: Room) -> Form:
    size = text.utf8_length(value)
    if size > min(MAX_TEXT_BYTES, room.content):
        raise OmittedError(size, "display_bytes")
    plain = text.replace_surrogates(value)
    return _within(Form(kind, text.to_json({"type": kind, "text": plain}), size), room)


def _json(kind: str, value: object, room: Room, changes: Notes) -> Form:
    depth, digits = sys.getrecursionlimit(), sys.get_int_max_str_digits()
    try:
        data = serialize.encode(
            value, min(MAX_TEXT_BYTES, max(room.content, 0)), None, changes
        )
    except serialize.TooLargeError as error:
        raise OmittedError(error.length, "display_bytes") from None
    except serialize.NotSerializableError as error:
        raise InvalidError(f"has no JSON: {error.detail}") from None
    finally:
        # The cell goes on with its own.
        sys.setrecursionlimit(depth)
        sys.set_int_max_str_digits(digits)
    encoded = f'{{"type":{text.quote(kind)},"json":{data.decode()}}}'
    return _within(Form(kind, encoded, len(data)), room)


def _is_json(value: object) -> bool:
    return issubclass(type(value), (dict, list))


def _within(form: Form, room: Room) -> Form:
    if form.encoded_bytes > room.encoded:
        raise OmittedError(form.size, "display_bytes")
    return form


def _file(kind: str, data: bytes, room: Room) -> Form:
    suffix = suffix_of(kind)
    for exceeded, limit in (
        (room.files <= 0, "output_files"),
        (len(data) > room.file_bytes, "file_size"),
        (len(data) > room.files_bytes, "output_files_bytes"),
    ):
        if exceeded:
            raise OmittedError(len(data), limit, suffix)
    form = Form(kind)
    form.data = data
    return form


def _utf8_within(value: str, limit: int, kind: str) -> bytes:
    size = text.utf8_length(value)
    if size > limit:
        raise OmittedError(size, "file_size", suffix_of(kind))
    return text.to_utf8(value)


def _from_base64(value: str) -> bytes:
    try:
        return a2b_base64(value)
    except (Base64Error, ValueError) as error:
        raise InvalidError(f"is not base64: {error}") from None
