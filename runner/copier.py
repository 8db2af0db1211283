"""Copies a value into what JSON has, or says what is in the way, and where."""

import sys

from runner import failure, tables, text, tips

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

    from runner.pictures import Album

# Fewer bits than this cannot make too many digits.
_SHORT_INT_BITS = 14_000
# Of a path: bytes of each key, and steps at either end.
_KEY_SHOWN = 80
_STEPS_SHOWN = 10
# Letters of numpy's dtype.kind: bool, signed and unsigned int, float; then str.
_NUMPY_NUMBERS = "biuf"
_NUMPY_TEXT = "U"
_FLOAT_BYTES = 8


class NotSerializableError(Exception):
    """The value has no JSON; carries the detail: path and type."""

    def __init__(self, detail: str) -> None:
        """Carry the detail."""
        super().__init__(detail)
        self.detail = detail


class TooLargeError(Exception):
    """The JSON is longer than there is room; carries how long it is at least."""

    def __init__(self, length: int) -> None:
        """Carry the length in bytes."""
        super().__init__(length)
        self.length = length


class Copier:
    """Makes one copy of one value."""

    def __init__(self, room: int, max_depth: int, album: "Album | None") -> None:
        """Allow room bytes of JSON and max_depth levels of containers.

        Figures become the names that album gives them.
        """
        self._album = album
        self._figures = album.types() if album else ()
        self._tables = tables.types()
        self._room = room
        self._left = room
        self._max_depth = max_depth
        # Keys and indexes from the root to where the walk is.
        self._path: list[str | int] = []
        # The ids of the containers on that way.
        self._open: set[int] = set()
        numpy = sys.modules.get("numpy")
        # The types of numpy, where the script has imported it; else no types.
        self._scalar: type | tuple[()] = getattr(numpy, "generic", ())
        self._array: type | tuple[()] = getattr(numpy, "ndarray", ())

    def copy(self, value: object) -> object:
        """Give an equal value of plain types.

        Raises NotSerializableError or TooLargeError, and no exception of the
        script's, though reading a value may run the script's code.
        """
        try:
            return self._copy(value)
        except (NotSerializableError, TooLargeError, MemoryError):
            raise
        except BaseException as error:
            self._refuse(f"cannot be read: {failure.message(error)}")

    # Any, because the type is looked at rather than declared. type() and not
    # isinstance(): an object may claim a __class__ that it does not have.
    def _copy(self, value: "Any") -> object:
        kind = type(value)
        self._spend(1)
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            return self._text(value)
        if issubclass(kind, int):
            return self._int(value)
        if issubclass(kind, float):
            return self._float(value)
        if issubclass(kind, dict):
            return self._dict(value)
        if issubclass(kind, (list, tuple)):
            return self._list(value)
        if issubclass(kind, self._scalar) and value.dtype.kind in _NUMPY_NUMBERS:
            return self._numpy_scalar(value)
        if kind is self._array and value.dtype.kind in _NUMPY_NUMBERS + _NUMPY_TEXT:
            return self._numpy_array(value)
        if kind in self._tables:
            # Told before it is unfolded.
            self._spend(tables.size(value))
            return self._dict(tables.plain(value))  # type: ignore[arg-type]
        if self._album and issubclass(kind, self._figures):
            return self._text(self._album.name_of(value))
        return self._refuse_type(kind)

    def _text(self, value: str) -> str:
        plain = text.clean(str.__str__(value))
        self._spend(len(plain))
        return plain

    def _int(self, value: int, role: str = "") -> int:
        number = int.__int__(value)
        if number.bit_length() > _SHORT_INT_BITS:
            try:
                int.__repr__(number)
            except ValueError:
                self._refuse(f"{role}int with more than 4300 digits", "use str(...)")
        return number

    def _float(self, value: float, role: str = "") -> float:
        number = float.__float__(value)
        # Not a number, or infinite: what JSON lacks.
        if number - number != 0:
            self._refuse(f"{role}float {float.__repr__(number)}", "use None")
        return number

    def _numpy_scalar(self, value: "Any") -> object:
        number = value.item()
        # A longdouble stays one: it has more digits than a float.
        if type(number) not in (bool, int, float):
            self._refuse_type(type(value))
        return self._copy(number)

    def _numpy_array(self, value: "Any") -> object:
        entries = 1
        for size in value.shape:
            entries *= max(size, 1)
        # Told before it is unfolded: broadcasting makes huge arrays of nothing.
        self._spend(entries)
        unfolded = value.tolist()
        if value.ndim + len(self._open) <= self._max_depth and self._is_sound(value):
            return unfolded
        # Item by item, to tell where.
        return self._copy(unfolded)

    def _is_sound(self, value: "Any") -> bool:
        """Are all items numbers that JSON has? In one step of numpy's."""
        kind, size = value.dtype.kind, value.dtype.itemsize
        if kind == "f" and size <= _FLOAT_BYTES:
            return bool(sys.modules["numpy"].isfinite(value).all())
        return kind in "biu"

    def _list(self, values: "Iterable[object]") -> list[object]:
        self._enter(values)
        copied: list[object] = []
        for index, value in enumerate(values):
            self._path.append(index)
            copied.append(self._copy(value))
            self._path.pop()
        self._open.remove(id(values))
        return copied

    def _dict(self, values: "dict[object, object]") -> dict[str, object]:
        self._enter(values)
        copied: dict[str, object] = {}
        for key, value in values.items():
            name = self._key(key)
            if name in copied:
                self._refuse(f"two keys become {_shown(name)}")
            self._path.append(name)
            copied[name] = self._copy(value)
            self._path.pop()
        self._open.remove(id(values))
        return copied

    def _key(self, key: "Any") -> str:
        kind = type(key)
        if issubclass(kind, str):
            return self._text(key)
        if kind is bool or key is None:
            return {True: "true", False: "false", None: "null"}[key]
        if issubclass(kind, int):
            return int.__repr__(self._int(key, "key "))
        if issubclass(kind, float) and not issubclass(kind, self._scalar):
            return float.__repr__(self._float(key, "key "))
        name, tip = tips.for_type(kind)
        return self._refuse(f"key of type {name}", tip)

    def _enter(self, container: object) -> None:
        if id(container) in self._open:
            self._refuse("circular reference")
        if len(self._open) == self._max_depth:
            self._refuse(f"nested deeper than {self._max_depth} levels")
        self._open.add(id(container))

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLargeError(self._room + 1)

    def _refuse_type(self, kind: type) -> "NoReturn":
        self._refuse(*tips.for_type(kind))

    def _refuse(self, what: str, tip: str = "") -> "NoReturn":
        detail = f"result{self._where()}: {what}"
        raise NotSerializableError(f"{detail}; {tip}" if tip else detail)

    def _where(self) -> str:
        steps = [f"[{_shown(step)}]" for step in self._path]
        if len(steps) > 2 * _STEPS_SHOWN:
            steps[_STEPS_SHOWN:-_STEPS_SHOWN] = ["..."]
        return "".join(steps)


def _shown(step: str | int) -> str:
    if isinstance(step, int):
        return str(step)
    return text.quote(text.shorten(step, _KEY_SHOWN))
