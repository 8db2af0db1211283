"""The JSON form of each scalar of numpy and pandas; see protocol.md.

This module imports neither package: a script that has not imported one cannot return
its values.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Form = Callable[[Any], object]

_modules = sys.modules
# Where a script's own classes are.
_SCRIPTS = ("builtins", "script", "__main__")
# Digits of a fraction of a second, as in pandas' isoformat(), and more.
_DIGITS = (6, 9, 12, 15, 18)
_ATTOSECONDS = {
    "as": 1,
    "fs": 10**3,
    "ps": 10**6,
    "ns": 10**9,
    "us": 10**12,
    "ms": 10**15,
    "s": 10**18,
    "m": 60 * 10**18,
    "h": 3600 * 10**18,
    "D": 86400 * 10**18,
    "W": 7 * 86400 * 10**18,
}


def scalars() -> "dict[type, Form]":
    """Map each exact type that has a form to a function that makes it plain.

    A plain value is None, a number or a text.
    """
    forms: dict[type, Form] = {}
    numpy, pandas = _modules.get("numpy"), _modules.get("pandas")
    for module, name, form in (
        (numpy, "datetime64", _datetime),
        (numpy, "timedelta64", _timedelta),
        (pandas, "Timestamp", _isoformat),
        (pandas, "Timedelta", _isoformat),
        (pandas, "Period", str),
        (pandas, "Interval", _interval),
    ):
        kind = getattr(module, name, None)
        if isinstance(kind, type):
            forms[kind] = form
    for name in ("NaT", "NA"):
        if hasattr(pandas, name):
            forms[type(getattr(pandas, name))] = _missing
    # Not the types of a script's module that has the same name.
    return {k: f for k, f in forms.items() if k.__module__ not in _SCRIPTS}


def _isoformat(value: "Any") -> str:
    return str(value.isoformat())


def _missing(_: object) -> None:
    return None


def _interval(value: "Any") -> str:
    first = "[" if value.closed in ("left", "both") else "("
    last = "]" if value.closed in ("right", "both") else ")"
    return f"{first}{_bound(value.left)}, {_bound(value.right)}{last}"


def _bound(value: "Any") -> str:
    form = scalars().get(type(value))
    return str(form(value) if form else value)


def _datetime(value: "Any") -> str | None:
    """Return ISO 8601 as pandas writes it; units from days on have no time of day."""
    text = str(_modules["numpy"].datetime_as_string(value))
    if text == "NaT":
        return None
    head, _, fraction = text.partition(".")
    _, has_time, clock = head.partition("T")
    if has_time:
        head += ":00" * (2 - clock.count(":"))
    if fraction := fraction.rstrip("0"):
        digits = next(n for n in _DIGITS if n >= len(fraction))
        head += "." + fraction.ljust(digits, "0")
    return head


def _timedelta(value: "Any") -> str | int | None:
    """Return an ISO 8601 span as pandas writes it; a number if it has no unit."""
    numpy: Any = _modules["numpy"]
    if numpy.isnat(value):
        return None
    unit, _ = numpy.datetime_data(value.dtype)
    if unit == "generic":
        return int(value.astype("i8"))
    number = int(value.astype(f"m8[{unit}]").astype("i8"))
    if unit in "YM":
        return f"P{number}{unit}"
    seconds, fraction = divmod(number * _ATTOSECONDS[unit], 10**18)
    days, seconds = divmod(seconds, 86400)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    rest = f".{fraction:018}".rstrip("0") if fraction else ""
    return f"P{days}DT{hours}H{minutes}M{seconds}{rest}S"
