"""Decodes JSON into the models, by the types of their fields."""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from datetime import date, datetime
from typing import Any, TypeVar

from .errors import UnexpectedResponse

T = TypeVar("T")


def read(cls: type[T], body: bytes | str) -> T:
    """Decode a model from JSON. Raises `UnexpectedResponse` if it does not match."""
    return build(cls, parse(body))


def parse(body: bytes | str) -> Any:
    """Parse JSON. Raises `UnexpectedResponse` if it is invalid."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnexpectedResponse(f"the response is not JSON: {error}") from None


def build(cls: type[T], data: object) -> T:
    """Make a model of parsed JSON; fields that the model lacks are ignored."""
    if not isinstance(data, dict):
        raise UnexpectedResponse(
            f"the response is no object where {cls.__name__} should be"
        )
    try:
        fields: dict[str, Any] = _fields(typing.cast("Any", cls))
        return cls(**{n: _value(h, data[n]) for n, h in fields.items() if n in data})
    except (TypeError, ValueError) as error:
        raise UnexpectedResponse(
            f"the response is no {cls.__name__}: {error}"
        ) from None


@functools.cache
def _fields(cls: Any) -> dict[str, Any]:
    """Map the names of a model's fields to their types."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _value(hint: Any, raw: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        if raw is None:
            return None
        (hint,) = (h for h in typing.get_args(hint) if h is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return tuple(_value(typing.get_args(hint)[0], each) for each in raw)
    if hint is date:
        return date.fromisoformat(str(raw))
    if hint is datetime:
        # Python 3.10 does not parse "Z".
        return datetime.fromisoformat(str(raw).replace("Z", "+00:00"))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, raw)
    return raw
