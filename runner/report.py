"""Encodes the payload of an E frame, within bounds."""

from runner import text

MAX_BYTES = 256 * 1024
# The most bytes of UTF-8 of each field that a script can make long.
LIMITS = {
    "message": 16 * 1024,
    "detail": 4 * 1024,
    "traceback": 128 * 1024,
    "text": 52 * 1024,
}


def encode(report: dict[str, object]) -> bytes:
    """Return the report as JSON of at most MAX_BYTES.

    Long fields lose their middle. Escapes may take six bytes for one, so a report that
    is still too long is shortened more.
    """
    for divisor in (1, 8):
        data = text.to_utf8(text.to_json(_shortened(report, divisor)))
        if len(data) <= MAX_BYTES:
            break
    return data


def _shortened(report: dict[str, object], divisor: int) -> dict[str, object]:
    return {
        name: text.shorten(value, LIMITS[name] // divisor)
        if isinstance(value, str) and name in LIMITS
        else value
        for name, value in report.items()
    }
