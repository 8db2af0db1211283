"""The one JSON form of a pandas DataFrame or Series; protocol.md describes it."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_modules = sys.modules


def types() -> tuple[type, ...]:
    """The types that have a form, where the script has imported pandas."""
    pandas: Any = _modules.get("pandas")
    found = (getattr(pandas, name, None) for name in ("DataFrame", "Series"))
    return tuple(kind for kind in found if isinstance(kind, type))


def size(table: "Any") -> int:
    """How many cells and labels it has."""
    return int(table.size) + sum(map(len, table.axes))


def plain(table: "Any") -> dict[str, object]:
    """Give a table as dict and lists; what is in its cells may still be refused."""
    cell = _cells(_modules["pandas"])
    index = [cell(label) for label in table.index]
    if table.ndim == 1:
        return {
            "name": cell(table.name),
            "index": index,
            "data": [cell(value) for value in table],
        }
    rows = table.itertuples(index=False, name=None)
    return {
        "columns": [cell(label) for label in table.columns],
        "index": index,
        # Without columns there are no rows to go through.
        "data": [[cell(value) for value in row] for row in rows] or [[] for _ in index],
    }


def _cells(pandas: "Any") -> "Any":
    """Give what makes a cell plain: what is missing is None, times are ISO 8601."""
    import datetime

    missing = (type(pandas.NaT), type(pandas.NA))
    times = (datetime.date, datetime.time)
    span, pandas_span = datetime.timedelta, pandas.Timedelta

    def cell(value: "Any") -> object:
        kind = type(value)
        if kind is str or kind is int:
            return value
        if kind in missing or (issubclass(kind, float) and value != value):
            return None
        if issubclass(kind, times):
            return value.isoformat()
        if issubclass(kind, span):
            return pandas_span(value).isoformat()
        return value

    return cell
