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

# Returned for an array whose items must be converted one by one.
ITEM_BY_ITEM = object()

# By dtype.kind: the suggestion for an array without JSON.
_SUGGESTIONS = {
    "f": "use .astype(float)",
    "c": "use .real.tolist() and .imag.tolist()",
    "S": "use .astype(str)",
}


class NonFinite:
    """The floats of an array that JSON cannot represent."""

    def __init__(self, array: "Any" = None, mask: "Any" = None) -> None:
        """Take an array and a mask of them; neither if there are none."""
        self._array, self._mask = array, mask
        self.count = 0 if mask is None else int(mask.sum())

    def first(self, limit: int) -> "Iterator[tuple[list[int], str]]":
        """Yield the index and the name of each, at most `limit` of them."""
        if self.count:
            for index in _numpy().argwhere(self._mask)[: max(limit, 0)]:
                yield index.tolist(), name_of(float(self._array[tuple(index)]))


def name_of(number: float) -> str:
    """Return the name that JavaScript and the json module use."""
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def is_convertible(array: "Any") -> bool:
    """Report whether arrays of this dtype have JSON."""
    kind = array.dtype.kind
    if kind == "f":
        return bool(array.dtype.itemsize <= _FLOAT_BYTES)
    return kind in _NUMBERS + _TIMES + _ITEMS


def to_lists(
    array: "Any", form: "Callable[[Any], object] | None"
) -> "tuple[object, NonFinite]":
    """Return nested lists, or ITEM_BY_ITEM; and the floats that became None.

    form converts a time of the array's dtype.
    """
    kind = array.dtype.kind
    if kind in _TIMES and form is not None:
        return _convert_each(array, form), NonFinite()
    if kind == "f":
        non_finite = ~_numpy().isfinite(array)
        if non_finite.any():
            cells = array.astype(object)
            cells[non_finite] = None
            return cells.tolist(), NonFinite(array, non_finite)
    if kind in _NUMBERS:
        return array.tolist(), NonFinite()
    return ITEM_BY_ITEM, NonFinite()


def _convert_each(array: "Any", form: "Callable[[Any], object]") -> object:
    if array.ndim == 0:
        return form(array[()])
    return (
        [_convert_each(part, form) for part in array]
        if array.ndim > 1
        else list(map(form, array))
    )


def suggestion(array: "Any") -> str:
    """Return the suggestion for an array of a dtype without JSON."""
    if array.dtype.names:
        return "use .tolist()"
    return _SUGGESTIONS.get(array.dtype.kind, suggestions.STR)


def _numpy() -> "Any":
    return sys.modules["numpy"]
