"""Describes a value as plain text: as repr() does, within bounds.

A value may describe itself with `_repr_pretty_`, as in IPython. Unlike there, no line
is broken: the text is repr()'s. Containers are cut after 1,000 items, as there.
"""

from runner.text import utf8_length

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

# The most items shown of a list, dict or set.
_MAX_ITEMS = 1000
# Of each type: what opens and closes its items, what stands for a circular reference,
# and what stands for none.
_BRACKETS: dict[type, tuple[str, str, str, str]] = {
    list: ("[", "]", "[...]", "[]"),
    tuple: ("(", ")", "(...)", "()"),
    dict: ("{", "}", "{...}", "{}"),
    set: ("{", "}", "set(...)", "set()"),
    frozenset: ("frozenset({", "})", "frozenset(...)", "frozenset()"),
}
# Bound here: a script may replace the builtin.
_repr = repr


class _FullError(Exception):
    """The text has all the characters that it may have."""


class Description:
    """The text of a value.

    was_cut is whether it is only the start of the text. whole_bytes is then the length
    of the whole text in UTF-8, None if that was not built.
    """

    def __init__(self, text: str, was_cut: bool, whole_bytes: int | None) -> None:
        self.text, self.was_cut, self.whole_bytes = text, was_cut, whole_bytes


def describe(value: object, limit: int) -> Description:
    """Describe a value in at most limit characters.

    Raises what the value's methods raise.
    """
    printer = Printer(limit)
    try:
        printer.pretty(value)
    except _FullError:
        return Description(printer.getvalue(), True, printer.whole_bytes)
    return Description(printer.getvalue(), False, None)


class Printer:
    """Collects text; the `p` of `_repr_pretty_(p, cycle)`."""

    def __init__(self, limit: int) -> None:
        """Keep at most limit characters."""
        self._left = limit
        self._parts: list[str] = []
        # The ids of the values that are being described.
        self._open: set[int] = set()
        # Of a text that came in one piece and was cut.
        self.whole_bytes: int | None = None

    def getvalue(self) -> str:
        """Return the text."""
        return "".join(self._parts)

    def text(self, text: str) -> None:
        """Add text."""
        plain = str.__str__(text)
        if len(plain) > self._left:
            if not self._parts:
                self.whole_bytes = utf8_length(plain)
            self._parts.append(plain[: self._left])
            self._left = 0
            raise _FullError
        self._parts.append(plain)
        self._left -= len(plain)

    def breakable(self, separator: str = " ") -> None:
        """Add a separator, where IPython may break the line."""
        self.text(separator)

    def break_(self) -> None:
        """Break the line."""
        self.text("\n")

    def begin_group(self, _indent: int = 0, opening: str = "") -> None:
        """Add what opens a group."""
        self.text(opening)

    def end_group(self, _dedent: int = 0, closing: str = "") -> None:
        """Add what closes a group."""
        self.text(closing)

    def group(
        self, _indent: int = 0, opening: str = "", closing: str = ""
    ) -> "AbstractContextManager[None]":
        """Return a context manager that adds what opens and closes a group."""
        return _Group(self, opening, closing)

    def indent(self, _indent: int) -> "AbstractContextManager[None]":
        """Return a context manager; it changes nothing, since no line is broken."""
        return _Group(self, "", "")

    def pretty(self, value: "Any") -> None:
        """Add the text of a value."""
        kind = type(value)
        if kind in _BRACKETS:
            self._container(value, _BRACKETS[kind])
        elif (kind is str or kind is bytes) and len(value) > self._left:
            self._parts.append(_repr(value[: self._left])[: self._left])
            raise _FullError
        else:
            self._object(value, _own_method(kind))

    def _object(
        self, value: object, method: "Callable[[object, Printer, bool], None] | None"
    ) -> None:
        if method is None:
            self.text(_repr(value))
            return
        cycle = id(value) in self._open
        self._open.add(id(value))
        method(value, self, cycle)
        if not cycle:
            self._open.discard(id(value))

    def _container(self, values: "Any", brackets: tuple[str, str, str, str]) -> None:
        first, last, circular, empty = brackets
        if id(values) in self._open:
            self.text(circular)
            return
        if not values:
            self.text(empty)
            return
        self._open.add(id(values))
        self.text(first)
        is_dict = type(values) is dict
        items = values.items() if is_dict else _sorted(values)
        for index, item in enumerate(items):
            if index:
                self.text(", ")
            if index == _MAX_ITEMS:
                self.text("...")
                break
            self.pretty(item[0] if is_dict else item)
            if is_dict:
                self.text(": ")
                self.pretty(item[1])
        self.text(",)" if first == "(" and len(values) == 1 else last)
        self._open.discard(id(values))


class _Group:
    """Adds text at its start and at its end."""

    def __init__(self, printer: Printer, opening: str, closing: str) -> None:
        self._printer, self._opening, self._closing = printer, opening, closing

    def __enter__(self) -> None:
        self._printer.text(self._opening)

    def __exit__(self, *_error: object) -> None:
        self._printer.text(self._closing)


def _sorted(values: "Any") -> "Iterable[object]":
    """Return the items of a set in an order that is the same in every run, if any."""
    if type(values) not in (set, frozenset) or len(values) > _MAX_ITEMS:
        return values  # type: ignore[no-any-return]
    try:
        return sorted(values)
    except Exception:
        return values  # type: ignore[no-any-return]


def _own_method(kind: type) -> "Any":
    """Return `_repr_pretty_` of the type; None if it has none."""
    for base in _mro(kind):
        # A class that has its own __repr__ is described by that.
        names = type.__dict__["__dict__"].__get__(base)
        if "_repr_pretty_" in names:
            found = getattr(base, "_repr_pretty_", None)
            return found if callable(found) else None
        if "__repr__" in names:
            return None
    return None


def _mro(kind: type) -> "Iterator[type]":
    # Even if a metaclass redefines the name.
    yield from type.__dict__["__mro__"].__get__(kind)
