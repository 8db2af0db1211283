"""What to do about a type that JSON does not have."""

from runner import failure

_LIST = "use list(...)"
_STR = "use str(...)"
_STR_OR_FLOAT = "use str(...) or float(...)"
_ISO = "use .isoformat()"
_TOLIST = "use .tolist()"

# By top-level module and name, since pandas and pathlib move theirs about.
_TIPS = {
    "builtins.set": _LIST,
    "builtins.frozenset": _LIST,
    "builtins.range": _LIST,
    "builtins.generator": _LIST,
    "builtins.map": _LIST,
    "builtins.filter": _LIST,
    "builtins.zip": _LIST,
    "builtins.dict_keys": _LIST,
    "builtins.dict_values": _LIST,
    "builtins.dict_items": _LIST,
    "collections.deque": _LIST,
    "array.array": _LIST,
    "builtins.bytes": "use .decode() or base64",
    "builtins.bytearray": "use .decode() or base64",
    "builtins.complex": "use [z.real, z.imag]",
    "decimal.Decimal": _STR_OR_FLOAT,
    "fractions.Fraction": _STR_OR_FLOAT,
    "datetime.date": _ISO,
    "datetime.time": _ISO,
    "datetime.timedelta": "use .total_seconds()",
    "uuid.UUID": _STR,
    "pathlib.PurePath": _STR,
    "enum.Enum": "use .value",
    "numpy.ndarray": _TOLIST,
    "numpy.generic": "use .item() or str(...)",
    # Subclasses: what they add would be lost.
    "pandas.DataFrame": "use pandas.DataFrame(...) or .to_dict('records')",
    "pandas.Series": "use .tolist() or .to_dict()",
    "pandas.Index": _TOLIST,
}


def for_type(kind: type) -> tuple[str, str]:
    """Give the type's name as people know it, and a tip or nothing."""
    try:
        return failure.type_name(kind), _tip(kind)
    except Exception:
        # A metaclass may say anything about its types, or raise.
        return "object", ""


def _tip(kind: type) -> str:
    if "__dataclass_fields__" in kind.__dict__:
        return "use dataclasses.asdict(...)"
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        tip = _TIPS.get(f"{module}.{base.__qualname__}")
        if tip is not None:
            return tip
    return ""
