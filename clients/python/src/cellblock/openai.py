r"""Cellblock as a function for models of OpenAI and of services with the same form.

tools=[CHAT_TOOL] offers it to a model; run_tool_call answers the model's call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .agents import (
    DESCRIPTION,
    MAX_CHARACTERS,
    NAME,
    PARAMETERS,
    MalformedArgumentsError,
    ToolOptions,
    read_code,
    text_of_error,
    text_of_result,
)
from .async_client import AsyncClient
from .errors import CellblockError
from .sync_client import Client

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "CHAT_TOOL",
    "RESPONSES_TOOL",
    "ToolOptions",
    "run_tool_call",
    "run_tool_call_async",
]

_FUNCTION: dict[str, Any] = {
    "name": NAME,
    "description": DESCRIPTION,
    "parameters": PARAMETERS,
    "strict": True,
}

# Any: the types of the package openai, which need not be there, take no plain dict.
CHAT_TOOL: Any = {"type": "function", "function": _FUNCTION}
"""The definition for `tools` of chat completions."""

RESPONSES_TOOL: Any = {"type": "function", **_FUNCTION}
"""The definition for `tools` of the Responses API."""


def run_tool_call(
    client: Client,
    arguments: str,
    *,
    max_characters: int = MAX_CHARACTERS,
    **options: Unpack[ToolOptions],
) -> str:
    """Run a model's call, and return the text of the answer to it.

    arguments is the JSON in the call's `function.arguments`. A failure of the code, or
    wrong arguments, become text too: the model can try again. Any other error of the
    service is raised, as by `Client.run`.
    """
    try:
        code = read_code(arguments)
        done = client.run(code, entry="cell", **options)
    except MalformedArgumentsError as error:
        return f"Error: {error}"
    except CellblockError as error:
        return _text_or_raise(error, max_characters)
    return text_of_result(done, max_characters)


async def run_tool_call_async(
    client: AsyncClient,
    arguments: str,
    *,
    max_characters: int = MAX_CHARACTERS,
    **options: Unpack[ToolOptions],
) -> str:
    """Do the same as `run_tool_call` with an `AsyncClient`."""
    try:
        code = read_code(arguments)
        done = await client.run(code, entry="cell", **options)
    except MalformedArgumentsError as error:
        return f"Error: {error}"
    except CellblockError as error:
        return _text_or_raise(error, max_characters)
    return text_of_result(done, max_characters)


def _text_or_raise(error: CellblockError, most: int) -> str:
    text = text_of_error(error, most)
    if text is None:
        raise error
    return text
