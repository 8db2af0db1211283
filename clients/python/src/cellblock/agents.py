"""What a language model sends to run Python, and the text that it gets back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict

from .errors import CellblockError, InvalidRequest, JobFailed, TooLarge
from .models import ExecuteResult, Outcome
from .options import Content, Limits

NAME = "run_python"
"""The name of the function."""

DESCRIPTION = (
    "Run Python in a fresh sandbox and get what it prints and the value of its last "
    "expression, as in a cell of a notebook. numpy, pandas and matplotlib are "
    "installed. There is no network, and nothing is kept for the next call: each one "
    "needs its own imports and data. Example: import math; math.factorial(10)"
)
"""The function's description, written for the model."""

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "code": {
            "type": "string",
            "description": "The Python source, complete, at most 50 KiB.",
        }
    },
    "required": ["code"],
    "additionalProperties": False,
}
"""The JSON schema of the function's arguments."""

MAX_CHARACTERS = 20_000
"""The longest text by default; models pay for it."""


class ToolOptions(TypedDict, total=False):
    """Options that the program chooses, not the model; `Options` explains them."""

    environment: str | None
    files: Mapping[str, Content] | None
    limits: Limits | None


class MalformedArgumentsError(ValueError):
    """The model's arguments are not those of the function."""


def read_code(arguments: str) -> str:
    """Return the code in the arguments of a call.

    Raises `MalformedArgumentsError`.
    """
    try:
        read = json.loads(arguments)
    except ValueError as error:
        raise MalformedArgumentsError(f"the arguments are not JSON: {error}") from error
    if not isinstance(read, dict) or set(read) != {"code"}:
        raise MalformedArgumentsError(
            'the arguments must be an object with "code" alone'
        )
    code = read["code"]
    if not isinstance(code, str):
        raise MalformedArgumentsError('"code" must be a string')
    return code


def text_of_result(done: ExecuteResult, most: int = MAX_CHARACTERS) -> str:
    """Describe a job that succeeded, in at most about that many characters."""
    parts = [_value(done), *_output(done), *done.notes, _files(done)]
    return _shorten("\n".join(filter(None, parts)) or "(no output)", most)


def text_of_error(error: CellblockError, most: int = MAX_CHARACTERS) -> str | None:
    """Describe a failure that the model can repair; None for any other."""
    if isinstance(error, InvalidRequest | TooLarge):
        return _shorten(f"Error: {error}", most)
    if not isinstance(error, JobFailed) or error.code in _NOT_THE_SCRIPTS:
        return None
    parts = [f"Error: {error}", (error.traceback or "").rstrip("\n")]
    if error.outcome:
        parts += [*_output(error.outcome), _files(error.outcome)]
    return _shorten("\n".join(filter(None, parts)), most)


# Another script would not do better.
_NOT_THE_SCRIPTS = frozenset(
    ("cancelled", "internal", "not_started", "unavailable", "worker_lost")
)


def _value(done: ExecuteResult) -> str:
    """The value of the last expression, as a notebook shows it."""
    forms = (display.form("text/plain") for display in done.displays)
    shown = [form.text for form in forms if form and form.text]
    if not shown and done.result is not None:
        shown = [json.dumps(done.result, ensure_ascii=False)]
    return "\n".join(shown)


def _output(outcome: Outcome) -> list[str]:
    named = (("stdout", outcome.stdout), ("stderr", outcome.stderr))
    return [f"{name}:\n{text.rstrip()}" for name, text in named if text.strip()]


def _files(outcome: Outcome) -> str:
    names = [f"{file.name} ({file.size} bytes)" for file in outcome.files]
    return "files: " + ", ".join(names) if names else ""


def _shorten(text: str, most: int) -> str:
    """Cut the middle, which a reader misses least."""
    if len(text) <= most:
        return text
    head = most // 2
    tail = most - head
    cut = len(text) - most
    return f"{text[:head]}\n[{cut} characters are cut here]\n{text[-tail:]}"
