"""Converts a value to plain types, or reports what has no JSON, and where."""

import sys

from runner import arrays, failure, forms, suggestions, tables, text
from runner.notes import Notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    from runner.figures import FigureFiles

# An int of fewer bits cannot have too many digits.
_SHORT_INT_BITS = 14_000
# Of a path: bytes shown of each key, and steps shown at either end.
_MAX_KEY_BYTES = 80
_MAX_STEPS_PER_END = 10
# Letters of numpy's dtype.kind: bool, signed and unsigned int, float.
_NUMPY_NUMBERS = "biuf"


class NotSerializableError(Exception):
    """The value has no JSON. The detail has path and type."""

    def __init__(self, detail: str) -> None:
        """Keep the detail."""
        super().__init__(detail)
        self.detail = detail


class TooLargeError(Exception):
    """The JSON is too long. The length is a lower bound."""

    def __init__(self, length: int) -> None:
        """Keep the length in bytes."""
        super().__init__(length)
        self.length = length


class Normalizer:
    """Converts one value, once."""

    def __init__(
        self,
        max_bytes: int,
        max_depth: int,
        figure_files: "FigureFiles | None",
        notes: Notes,
    ) -> None:
        """Allow max_bytes of JSON and max_depth levels of containers.

        Figures become file names from figure_files. Changes are recorded in notes.
        """
        self._figure_files = figure_files
        self._figure_types = figure_files.types() if figure_files else ()
        self._notes = notes
        self._max_bytes = max_bytes
        self._bytes_left = max_bytes
        self._max_depth = max_depth
        # Keys and indexes from the root to the current value.
        self._path: list[str | int] = []
        # The ids of the containers on that path.
        self._open_containers: set[int] = set()
        numpy = sys.modules.get("numpy")
        # The types of numpy if the script has imported it; else none.
        self._scalar_type: type | tuple[()] = getattr(numpy, "generic", ())
        self._array_type: type | tuple[()] = getattr(numpy, "ndarray", ())
        self._forms = forms.scalars()
        # The function that converts values of a type; subclasses are added on demand.
        self._converters: dict[type, Callable[[Any], object]] = {
            type(None): _unchanged,
            bool: _unchanged,
            str: self._text,
            int: self._int,
            float: self._float,
            dict: self._dict,
            list: self._list,
            tuple: self._list,
            tables.PlainLists: self._plain_lists,
            **dict.fromkeys(tables.types(), self._table),
        }

    def normalize(self, value: object) -> object:
        """Return an equal value of plain types.

        Raises NotSerializableError or TooLargeError (or MemoryError), but no exception
        of the script, though reading a value may run the script's code.
        """
        try:
            return self._normalize(value)
        except (NotSerializableError, TooLargeError, MemoryError):
            raise
        except BaseException as error:
            self._refuse(f"cannot be read: {failure.message(error)}")

    # Any, because the type is inspected, not declared. type() instead of isinstance():
    # an object may claim a __class__ that it does not have.
    def _normalize(self, value: "Any") -> object:
        kind = type(value)
        self._bytes_left -= 1
        if self._bytes_left < 0:
            raise TooLargeError(self._max_bytes + 1)
        normalize = self._converters.get(kind)
        if normalize is None:
            normalize = self._converters[kind] = self._find_converter(kind)
        return normalize(value)

    def _find_converter(self, kind: type) -> "Callable[[Any], object]":
        """Return the function that converts values of a type that is not plain."""
        for base in (str, int, float, dict, list, tuple):
            if issubclass(kind, base):
                return self._converters[base]
        if kind in self._forms:
            return self._form
        if issubclass(kind, self._scalar_type):
            return self._numpy_scalar
        if kind is self._array_type:
            return self._numpy_array
        if self._figure_files and issubclass(kind, self._figure_types):
            return self._figure
        return self._refuse_type

    def _text(self, value: str) -> str:
        plain = text.replace_surrogates(str.__str__(value))
        self._spend(len(plain))
        return plain

    def _int(self, value: int, role: str = "") -> int:
        number = int.__int__(value)
        if number.bit_length() > _SHORT_INT_BITS:
            try:
                int.__repr__(number)
            except ValueError:
                self._refuse(f"{role}int with more than 4300 digits", "use hex(...)")
        return number

    def _float(self, value: float, role: str = "") -> float | None:
        number = float.__float__(value)
        # Not finite: JSON cannot represent it.
        if number - number != 0:
            self._note(f"{role}{arrays.name_of(number)} became null")
            return None
        return number

    def _form(self, value: "Any") -> object:
        # None, a number, or a short text.
        return self._forms[type(value)](value)

    def _figure(self, value: "Any") -> str:
        return self._text(self._figure_files.name_of(value))  # type: ignore[union-attr]

    def _numpy_scalar(self, value: "Any") -> object:
        if value.dtype.kind in _NUMPY_NUMBERS:
            number = value.item()
            # item() of a longdouble is one: it has more digits than a float.
            if type(number) in (bool, int, float):
                return self._normalize(number)
        return self._refuse_type(value)

    def _numpy_array(self, value: "Any") -> object:
        entries = 1
        for size in value.shape:
            entries *= max(size, 1)
        # Before unfolding: broadcasting makes huge arrays that take no memory.
        self._spend(entries)
        if not arrays.is_convertible(value):
            return self._refuse(
                failure.type_name(type(value)), arrays.suggestion(value)
            )
        if value.ndim + len(self._open_containers) > self._max_depth:
            # Item by item, to report the path.
            return self._normalize(value.tolist())
        form = self._forms.get(value.dtype.type)
        lists, non_finite = arrays.to_lists(value, form)
        if lists is arrays.ITEM_BY_ITEM:
            return self._normalize(value.tolist())
        self._add_non_finite_notes(non_finite)
        return lists

    def _add_non_finite_notes(self, non_finite: arrays.NonFinite) -> None:
        for index, name in non_finite.first(self._notes.remaining):
            self._path.extend(index)
            self._note(f"{name} became null")
            del self._path[len(self._path) - len(index) :]
            non_finite.count -= 1
        self._notes.count(non_finite.count)

    def _table(self, value: "Any") -> object:
        # Before unfolding.
        self._spend(tables.size(value))
        return self._dict(tables.plain(value))  # type: ignore[arg-type]

    def _plain_lists(self, value: tables.PlainLists) -> object:
        self._spend(value.min_bytes)
        if value.depth + len(self._open_containers) > self._max_depth:
            return self._normalize(value.items)
        return value.items

    def _list(self, values: "Iterable[object]") -> list[object]:
        self._enter(values)
        normalized: list[object] = []
        normalize, path = self._normalize, self._path
        path.append(0)
        for path[-1], value in enumerate(values):
            normalized.append(normalize(value))
        path.pop()
        self._open_containers.remove(id(values))
        return normalized

    def _dict(self, values: "dict[object, object]") -> dict[str, object]:
        self._enter(values)
        normalized: dict[str, object] = {}
        normalize, path = self._normalize, self._path
        for key, value in values.items():
            name = self._key(key)
            if name in normalized:
                suggestion = "use keys that differ as text"
                self._refuse(f"two keys become {_quote_step(name)}", suggestion)
            path.append(name)
            normalized[name] = normalize(value)
            path.pop()
        self._open_containers.remove(id(values))
        return normalized

    def _key(self, key: "Any") -> str:
        """Return a text key as it is, and any other as the JSON of its value."""
        kind = type(key)
        if issubclass(kind, str):
            return self._text(key)
        if kind is bool or key is None:
            return {True: "true", False: "false", None: "null"}[key]
        if issubclass(kind, int):
            return int.__repr__(self._int(key, "key "))
        if issubclass(kind, float):
            number = self._float(key, "key ")
            return "null" if number is None else float.__repr__(number)
        if kind in self._forms:
            return self._key(self._forms[kind](key))
        if issubclass(kind, self._scalar_type) and key.dtype.kind in _NUMPY_NUMBERS:
            number = key.item()
            if type(number) in (bool, int, float):
                return self._key(number)
        name, _ = suggestions.for_type(kind)
        return self._refuse(f"key of type {name}", suggestions.for_key(kind))

    def _enter(self, container: object) -> None:
        if id(container) in self._open_containers:
            self._refuse("circular reference")
        if len(self._open_containers) == self._max_depth:
            self._refuse(f"nested deeper than {self._max_depth} levels")
        self._open_containers.add(id(container))

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise TooLargeError(self._max_bytes + 1)

    def _note(self, what: str) -> None:
        if self._notes.remaining > 0:
            self._notes.add(f"result{self._path_text()}: {what}")
        else:
            self._notes.count(1)

    def _refuse_type(self, value: object) -> "NoReturn":
        self._refuse(*suggestions.for_type(type(value)))

    def _refuse(self, what: str, suggestion: str = "") -> "NoReturn":
        detail = f"result{self._path_text()}: {what}"
        raise NotSerializableError(f"{detail}; {suggestion}" if suggestion else detail)

    def _path_text(self) -> str:
        steps = [f"[{_quote_step(step)}]" for step in self._path]
        if len(steps) > 2 * _MAX_STEPS_PER_END:
            steps[_MAX_STEPS_PER_END:-_MAX_STEPS_PER_END] = ["..."]
        return "".join(steps)


def _unchanged(value: object) -> object:
    return value


def _quote_step(step: str | int) -> str:
    if isinstance(step, int):
        return str(step)
    return text.quote(text.shorten(step, _MAX_KEY_BYTES))
