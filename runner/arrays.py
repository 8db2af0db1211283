"""Converts numpy arrays to nested lists, in numpy operations where possible."""

import sys

from runner import suggestions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# Letters of numpy's dtype.kind that have JSON: bool, signed and unsigned int, float;
# times; texts, and objects, whose items are checked one by one.
_NUMBERS, _TIMES, _ITEMS = "biuf", "mM", "UTO"
_FLOAT_BYTES = 8

# Returned for an array whose items must be copied one by one.
WALK = object()

# By dtype.kind: the tip for an array without JSON.
_TIPS = {
    "f": "use .astype(float)",
    "c": "use .real.tolist() and .imag.tolist()",
    "S": "use .astype(str)",
}


class Odd:
    """The floats of an array that JSON cannot represent."""

    def __init__(self, array: "Any" = None, where: "Any" = None) -> None:
        """Take an array and a mask of them; neither if there are none."""
        self._array, self._where = array, where
        self.number = 0 if where is None else int(where.sum())

    def first(self, most: int) -> "Iterator[tuple[list[int], str]]":
        """Yield the index and the name of each, at most `most` of them."""
        if self.number:
            for place in _numpy().argwhere(self._where)[: max(most, 0)]:
                yield place.tolist(), name(float(self._array[tuple(place)]))


def name(number: float) -> str:
    """Return the name that JavaScript and the json module use."""
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def unfolds(array: "Any") -> bool:
    """Report whether arrays of this dtype have JSON."""
    kind = array.dtype.kind
    if kind == "f":
        return bool(array.dtype.itemsize <= _FLOAT_BYTES)
    return kind in _NUMBERS + _TIMES + _ITEMS


def unfold(
    array: "Any", form: "Callable[[Any], object] | None"
) -> "tuple[object, Odd]":
    """Return nested lists, or WALK; and the floats that became None.

    form converts a time of the array's dtype.
    """
    kind = array.dtype.kind
    if kind in _TIMES and form is not None:
        return _each(array, form), Odd()
    if kind == "f":
        odd = ~_numpy().isfinite(array)
        if odd.any():
            cells = array.astype(object)
            cells[odd] = None
            return cells.tolist(), Odd(array, odd)
    if kind in _NUMBERS:
        return array.tolist(), Odd()
    return WALK, Odd()


def _each(array: "Any", form: "Callable[[Any], object]") -> object:
    if array.ndim == 0:
        return form(array[()])
    return (
        [_each(part, form) for part in array]
        if array.ndim > 1
        else list(map(form, array))
    )


def tip(array: "Any") -> str:
    """Return the tip for an array of a dtype without JSON."""
    if array.dtype.names:
        return "use .tolist()"
    return _TIPS.get(array.dtype.kind, suggestions.STR)


def _numpy() -> "Any":
    return sys.modules["numpy"]
