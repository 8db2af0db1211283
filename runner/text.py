"""Writes JSON and UTF-8, and shortens text to a limit.

It uses the C parts of the json module: the module itself imports `re`, which takes 6 ms
of each cold start, and scripts monkeypatch it.
"""

import codecs
from _json import encode_basestring, make_encoder, make_scanner

_REPLACEMENT = "\ufffd".encode()
REPLACE_ERRORS = "cellblock.replace"


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    # The built-in "replace" encodes as "?". Bytes, because the encoder takes only ASCII
    # as text.
    if isinstance(error, UnicodeEncodeError):
        return _REPLACEMENT * (error.end - error.start), error.end
    raise error


codecs.register_error(REPLACE_ERRORS, _replace)


def _no_default(value: object) -> object:
    raise TypeError(f"{type(value).__name__} in a checked value")


_encode = make_encoder(
    None, _no_default, encode_basestring, None, ":", ",", False, False, False
)


def to_json(value: object) -> str:
    """Return plain values as compact JSON.

    Raises ValueError for NaN, infinities and ints that are too long.
    """
    return "".join(_encode(value, 0))


class _Scanning:
    """The options that the C scanner reads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan = make_scanner(_Scanning())  # type: ignore[arg-type]  # any object will do


def from_json(text: str) -> object:
    """Return the JSON value that text starts with. Raises ValueError."""
    try:
        value: object = _scan(text, 0)[0]
    except StopIteration as error:
        raise ValueError("not JSON") from error
    return value


def quote(text: str) -> str:
    """Return text as a JSON string."""
    return str(encode_basestring(text))


def to_utf8(text: str) -> bytes:
    """Encode text, with U+FFFD for each lone surrogate."""
    return text.encode("utf-8", REPLACE_ERRORS)


def utf8_length(text: str) -> int:
    """Return the length of to_utf8(text), which is not built as a whole."""
    if text.isascii():
        return len(text)
    step = 1 << 16
    return sum(
        len(to_utf8(text[start : start + step])) for start in range(0, len(text), step)
    )


def replace_surrogates(text: str) -> str:
    """Return text with U+FFFD for each lone surrogate."""
    return text if text.isascii() else to_utf8(text).decode()


def shorten(text: str, limit: int) -> str:
    """Remove the middle, so that at most limit bytes of UTF-8 remain."""
    if len(text) * 4 <= limit:
        return text
    if len(text) <= limit:
        data = to_utf8(text)
        if len(data) <= limit:
            return text
    mark = f"\n[... shortened from {len(text)} characters ...]\n"
    half = max(0, limit - len(mark)) // 2
    # Sliced before encoding: the text may be very long.
    head = to_utf8(text[:half])[:half].decode("utf-8", "ignore")
    tail = to_utf8(text[-half:])[-half:].decode("utf-8", "ignore") if half else ""
    return head + mark + tail
