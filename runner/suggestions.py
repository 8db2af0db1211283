"""Suggestions for types without JSON: following one leads to a result."""

from runner import failure

STR = "use str(...)"
_LIST = "use list(...)"
_STR_OR_FLOAT = "use str(...) or float(...)"
_ISOFORMAT = "use .isoformat()"
_TOLIST = "use .tolist()"
_BYTES = "use .decode() or base64.b64encode(...).decode()"
_COMPLEX = "use [z.real, z.imag]"

# By top-level module and name, since pandas and pathlib move theirs.
_SUGGESTIONS = {
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
    "builtins.bytes": _BYTES,
    "builtins.bytearray": "use bytes(...).decode() or base64.b64encode(...).decode()",
    "builtins.complex": _COMPLEX,
    "decimal.Decimal": _STR_OR_FLOAT,
    "fractions.Fraction": _STR_OR_FLOAT,
    "datetime.date": _ISOFORMAT,
    "datetime.time": _ISOFORMAT,
    "datetime.timedelta": "use .total_seconds()",
    "uuid.UUID": STR,
    "pathlib.PurePath": STR,
    "enum.Enum": "use .value",
    "numpy.ndarray": _TOLIST,
    "numpy.longdouble": _STR_OR_FLOAT,
    "numpy.clongdouble": "use [float(z.real), float(z.imag)]",
    "numpy.complexfloating": _COMPLEX,
    "numpy.bytes_": _BYTES,
    "numpy.generic": STR,
    # Subclasses: what they add would be lost.
    "pandas.DataFrame": "use pandas.DataFrame(...) or .to_dict('records')",
    "pandas.Series": "use .tolist() or .to_dict()",
    "pandas.Index": _TOLIST,
    "pandas.ExtensionArray": _TOLIST,
}
# Suggestions that also make a valid key of a key.
_VALID_FOR_KEYS = frozenset(
    (_ISOFORMAT, "use .total_seconds()", "use .value", _STR_OR_FLOAT)
)


def for_type(kind: type) -> tuple[str, str]:
    """Return the type's usual name, and a suggestion or ""."""
    try:
        return failure.type_name(kind), _suggestion(kind)
    except Exception:
        # A metaclass may return anything for its types, or raise.
        return "object", ""


def for_key(kind: type) -> str:
    """Return the suggestion for a key of the type."""
    _, suggestion = for_type(kind)
    return suggestion if suggestion in _VALID_FOR_KEYS else STR


def _suggestion(kind: type) -> str:
    if "__dataclass_fields__" in kind.__dict__:
        return "use dataclasses.asdict(...)"
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        suggestion = _SUGGESTIONS.get(f"{module}.{base.__qualname__}")
        if suggestion is not None:
            return suggestion
    return ""
