"""The JSON form of a pandas DataFrame or Series; see protocol.md."""

import sys

from runner import forms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_modules = sys.modules
_NONE = type(None)
_NOT_NUMBERS = frozenset((str, bool, _NONE))


class PlainLists:
    """Lists that are valid JSON as they are, with a lower bound on their bytes."""

    def __init__(self, items: list[object], depth: int, min_bytes: int) -> None:
        """Keep items; depth is how many levels of lists they have."""
        self.items, self.depth, self.min_bytes = items, depth, min_bytes


def types() -> tuple[type, ...]:
    """Return the types that have a form; none if pandas is not imported."""
    pandas: Any = _modules.get("pandas")
    found = (getattr(pandas, name, None) for name in ("DataFrame", "Series"))
    return tuple(kind for kind in found if isinstance(kind, type))


def size(table: "Any") -> int:
    """Return the number of cells and labels."""
    return int(table.size) + sum(map(len, table.axes))


def plain(table: "Any") -> dict[str, object]:
    """Convert a table to dict and lists; its cells may still be refused."""
    form = _Cells()
    index = form.column(table.index)
    if table.ndim == 1:
        return {
            "name": form.cell(table.name),
            "index": index,
            "data": form.column(table),
        }
    columns = [form.column(table.iloc[:, i]) for i in range(table.shape[1])]
    return {
        "columns": form.column(table.columns),
        "index": index,
        "data": _rows(columns, len(table)),
    }


def _rows(columns: "list[list[object] | PlainLists]", height: int) -> object:
    plain_lists = [c for c in columns if isinstance(c, PlainLists)]
    lists = (c.items if isinstance(c, PlainLists) else c for c in columns)
    # Without columns, zip yields no rows.
    rows: list[object] = list(map(list, zip(*lists, strict=True)))
    rows = rows or [[] for _ in range(height)]
    if len(plain_lists) < len(columns):
        return rows
    return PlainLists(rows, 2, sum(c.min_bytes for c in plain_lists))


class _Cells:
    """Makes cells and labels plain: missing values None, times ISO 8601."""

    def __init__(self) -> None:
        import datetime

        self._forms = forms.scalars()
        self._time_types = (datetime.date, datetime.time)
        self._span_type = datetime.timedelta
        self._pandas: Any = _modules["pandas"]

    def column(self, values: "Any") -> "list[object] | PlainLists":
        """Make a Series or an Index plain, in numpy operations where possible."""
        kind = getattr(values.dtype, "kind", "O")
        if isinstance(values.dtype, _modules["numpy"].dtype):
            if kind in "biu":
                return PlainLists(values.to_numpy().tolist(), 1, 0)
            if kind == "f" and values.dtype.itemsize <= 8:
                return _floats(values.to_numpy())
        cell = self.cell
        cells = [cell(value) for value in values]
        if not _NOT_NUMBERS.issuperset(map(type, cells)):
            return cells
        texts = [c for c in cells if type(c) is str]
        if all(map(str.isascii, texts)):
            return PlainLists(cells, 1, sum(map(len, texts)))
        return cells

    def cell(self, value: "Any") -> object:
        """Make one cell or label plain, as far as the form of a table defines it."""
        kind = type(value)
        if kind is str or kind is int:
            return value
        form = self._forms.get(kind)
        if form is not None:
            return form(value)
        if issubclass(kind, float) and value != value:
            return None
        if kind is tuple:
            # A label with several levels.
            return tuple(map(self.cell, value))
        if issubclass(kind, self._time_types):
            return value.isoformat()
        if issubclass(kind, self._span_type):
            return self._pandas.Timedelta(value).isoformat()
        return value


def _floats(array: "Any") -> "list[object] | PlainLists":
    numpy: Any = _modules["numpy"]
    if numpy.isfinite(array).all():
        return PlainLists(array.tolist(), 1, 0)
    missing = numpy.isnan(array)
    cells = array.astype(object)
    cells[missing] = None
    plain: list[object] = cells.tolist()
    # An infinity is not missing: Normalizer notes its path.
    return plain if numpy.isinf(array).any() else PlainLists(plain, 1, 0)
