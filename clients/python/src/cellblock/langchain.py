"""Cellblock as a tool for LangChain; needs the extra `langchain`.

agent = create_agent(model, tools=[python_tool(Client())])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.tools import StructuredTool

from .agents import (
    DESCRIPTION,
    MAX_CHARACTERS,
    NAME,
    PARAMETERS,
    ToolOptions,
    text_of_error,
    text_of_result,
)
from .errors import CellblockError, JobFailed
from .models import Outcome
from .sync_client import Client

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["ToolOptions", "python_tool"]


def python_tool(
    client: Client,
    *,
    name: str = NAME,
    description: str = DESCRIPTION,
    max_characters: int = MAX_CHARACTERS,
    **options: Unpack[ToolOptions],
) -> StructuredTool:
    """Make a tool that runs Python with the client, which the caller closes.

    The model gets text of at most about max_characters; the message's `artifact` is the
    `Outcome`, with the files that the code left. A failure of the code becomes text
    too: the model can try again. Any other error of the service is raised, as by
    `Client.run`. With `ainvoke` a thread waits for the end.
    """

    def run(code: str) -> tuple[str, Outcome | None]:
        try:
            done = client.run(code, entry="cell", **options)
        except CellblockError as error:
            text = text_of_error(error, max_characters)
            if text is None:
                raise
            return text, error.outcome if isinstance(error, JobFailed) else None
        return text_of_result(done, max_characters), done

    return StructuredTool.from_function(
        run,
        name=name,
        description=description,
        args_schema=PARAMETERS,
        response_format="content_and_artifact",
    )
