"""Encodes what main() returned as JSON; protocol.md has each rule and its reason.

A fast check, mostly in C, recognizes plain values, which the C encoder writes. All
others are first converted to plain values, or refused with their path.
"""

import sys

from runner import text
from runner.normalize import Normalizer, NotSerializableError, TooLargeError
from runner.notes import Notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.figures import FigureFiles

MAX_DEPTH = 500
MAX_INT_DIGITS = 4300

_LEAVES = frozenset((type(None), bool, int, float, str))
_CONTAINERS = frozenset((dict, list, tuple))
_ALL = _LEAVES | _CONTAINERS
_ONLY_STR = frozenset((str,))

# Python frames to normalize a value of that depth, and for those already on the stack.
_RECURSION_LIMIT = 10_000

# Bound here, so that changes to `sys` by the script do not matter.
_set_recursion_limit = sys.setrecursionlimit
_set_int_max_str_digits = sys.set_int_max_str_digits


def encode(
    value: object,
    max_bytes: int,
    figure_files: "FigureFiles | None" = None,
    notes: Notes | None = None,
) -> bytes:
    """Return value as compact JSON in UTF-8; record in notes what had to change.

    Raises NotSerializableError; or TooLargeError if it takes more than max_bytes, if
    possible before all of it is built.
    """
    _set_recursion_limit(_RECURSION_LIMIT)
    # What parsers of clients accept; the encoder then refuses longer ones.
    _set_int_max_str_digits(MAX_INT_DIGITS)
    data = _encode_plain(value, max_bytes)
    if data is None:
        normalized = Normalizer(
            max_bytes, MAX_DEPTH, figure_files, notes or Notes()
        ).normalize(value)
        data = text.to_json(normalized).encode()
    if len(data) > max_bytes:
        raise TooLargeError(len(data))
    return data


def _encode_plain(value: object, max_bytes: int) -> bytes | None:
    if not _is_plain(value, max_bytes):
        return None
    try:
        return text.to_json(value).encode()
    except ValueError:
        # NaN, an infinity, a long int or a lone surrogate: Normalizer finds its path.
        return None


def _is_text(item: object) -> bool:
    return type(item) is str


def _is_plain(value: object, max_bytes: int) -> bool:
    """Report whether all parts have exactly JSON's types, and are few and shallow.

    If False, Normalizer decides.
    """
    # One level of nesting at a time, so that most steps run in C.
    items = [value]
    for _ in range(MAX_DEPTH + 1):
        kinds = set(map(type, items))
        if not kinds <= _ALL:
            return False
        max_bytes -= len(items)
        if str in kinds:
            texts = items if len(kinds) == 1 else filter(_is_text, items)
            max_bytes -= sum(map(len, texts))  # type: ignore[arg-type]  # all are str
        if kinds <= _LEAVES:
            return max_bytes >= 0
        below: list[object] = []
        for item in items:
            if type(item) is dict:
                if not _ONLY_STR.issuperset(map(type, item)):
                    return False
                below.extend(item.values())
            elif type(item) is list or type(item) is tuple:
                below.extend(item)
            # Shared parts can unfold to far more JSON than the memory they take.
            if len(below) > max_bytes:
                return False
        items = below
    return False


__all__ = ["NotSerializableError", "TooLargeError", "encode"]
