"""The function for language models, with the packages that call it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import cellblock
import openai
import pytest
from cellblock import AsyncClient, Client
from cellblock.agents import text_of_error
from cellblock.langchain import python_tool
from cellblock.openai import (
    CHAT_TOOL,
    RESPONSES_TOOL,
    run_tool_call,
    run_tool_call_async,
)
from langchain_core.messages import ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import TypeAdapter
from service import TOKEN, Service

TABLE = "import pandas as pd\nprint('made')\npd.DataFrame({'a': [1, 2]})"


@pytest.fixture(scope="module")
def blocking(service: Service) -> Iterator[Client]:
    with Client(service.url, token=TOKEN) as made:
        yield made


def arguments(code: str) -> str:
    return json.dumps({"code": code})


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2"),
        (TABLE, "   a\n0  1\n1  2\nstdout:\nmade"),
        ("print('only')", "stdout:\nonly"),
        ("x = 1", "(no output)"),
        ("open('a.csv', 'w').write('x,y');", "files: a.csv (3 bytes)"),
        ("import sys; print('e', file=sys.stderr); 'é'", "'é'\nstderr:\ne"),
    ],
)
def test_a_call_has_an_answer(blocking: Client, code: str, text: str) -> None:
    assert run_tool_call(blocking, arguments(code)) == text


def test_a_failure_of_the_code_is_text(blocking: Client) -> None:
    text = run_tool_call(blocking, arguments("print('so far')\n1 / 0"))
    assert text.startswith("Error: ZeroDivisionError: division by zero")
    assert "Traceback (most recent call last):" in text
    assert text.endswith("stdout:\nso far")
    text = run_tool_call(blocking, arguments("def f(:"))
    assert "invalid syntax" in text
    text = run_tool_call(
        blocking, arguments("while True: pass"), limits={"wall_seconds": 0.2}
    )
    assert "longer than 0.2 s" in text
    text = run_tool_call(blocking, arguments("#" * 60_000))
    assert "60000 bytes" in text


@pytest.mark.parametrize(
    "wrong", ["", "{", "[]", "{}", '{"code": 1}', '{"code": "1", "x": 2}', '"code"']
)
def test_wrong_arguments_are_text(wrong: str, unused_url: str) -> None:
    with Client(unused_url) as client:
        assert run_tool_call(client, wrong).startswith("Error: ")


def test_a_failure_of_the_service_is_raised(service: Service) -> None:
    with (
        Client(service.url, token="wrong") as client,
        pytest.raises(cellblock.Unauthorized),
    ):
        run_tool_call(client, arguments("1"))
    lost = cellblock.WorkerLost("the worker is gone", code="worker_lost")
    assert text_of_error(lost) is None


def test_a_long_text_is_cut_in_the_middle(blocking: Client) -> None:
    text = run_tool_call(
        blocking, arguments("print('a' * 500 + 'b' * 500)"), max_characters=100
    )
    head, note, tail = text.split("\n")[-3:]
    assert (set(head), note[:1], set(tail)) == ({"a"}, "[", {"b"})
    assert "characters are cut here" in note
    assert len(text) < 150


def test_the_caller_chooses_files_and_limits(blocking: Client) -> None:
    text = run_tool_call(
        blocking, arguments("open('in.txt').read()"), files={"in.txt": "data"}
    )
    assert text == "'data'"


def test_asyncio(service: Service) -> None:
    async def call() -> list[str]:
        async with AsyncClient(service.url, token=TOKEN) as client:
            wrong = await run_tool_call_async(client, "{}")
            failed = await run_tool_call_async(client, arguments("1 / 0"))
            return [
                await run_tool_call_async(client, arguments("2 + 2")),
                wrong,
                failed,
            ]

    text, wrong, failed = asyncio.run(call())
    assert text == "4"
    assert wrong.startswith("Error: ")
    assert failed.startswith("Error: ZeroDivisionError")


def test_the_definitions_have_the_forms_of_openai() -> None:
    TypeAdapter(ChatCompletionFunctionToolParam).validate_python(CHAT_TOOL)
    TypeAdapter(FunctionToolParam).validate_python(RESPONSES_TOOL)
    assert len(json.dumps(CHAT_TOOL)) < 700  # paid for in each conversation


Body = dict[str, Any]


@contextlib.contextmanager
def serve(answer: Callable[[Body], Body]) -> Iterator[str]:
    """Serve answers to posted JSON, and yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            encoded = json.dumps(answer(json.loads(body))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_conversation_with_the_client_of_openai(blocking: Client) -> None:
    """The model is made up; the client, and what it sends and reads, are real."""
    sent: list[Body] = []

    def model(body: Body) -> Body:
        sent.append(body)
        message: Body = {"role": "assistant", "content": None}
        if body["messages"][-1]["role"] == "tool":
            message["content"] = "It is " + body["messages"][-1]["content"]
        else:
            function = {"name": "run_python", "arguments": arguments("6 * 7")}
            message["tool_calls"] = [
                {"id": "call_1", "type": "function", "function": function}
            ]
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "made-up",
            "choices": [choice],
        }

    with serve(model) as url:
        chat = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        messages: list[Any] = [{"role": "user", "content": "6 * 7?"}]
        ask: Body = {"model": "made-up", "messages": messages, "tools": [CHAT_TOOL]}
        answer: Any = chat.chat.completions.create(**ask).choices[0].message
        call = answer.tool_calls[0]
        text = run_tool_call(blocking, call.function.arguments)
        messages += [answer, {"role": "tool", "tool_call_id": call.id, "content": text}]
        assert chat.chat.completions.create(**ask).choices[0].message.content == (
            "It is 42"
        )
        chat.close()
    assert sent[0]["tools"] == [CHAT_TOOL]


def test_the_tool_of_langchain(blocking: Client) -> None:
    tool = python_tool(blocking, limits={"wall_seconds": 5})
    assert tool.invoke({"code": "6 * 7"}) == "42"
    call = {"name": tool.name, "args": {"code": TABLE}, "id": "1", "type": "tool_call"}
    message = tool.invoke(call)
    assert isinstance(message, ToolMessage)
    assert message.content == "   a\n0  1\n1  2\nstdout:\nmade"
    assert message.artifact.displays[0].form("text/html").text.startswith("<div>")
    failed = tool.invoke({**call, "args": {"code": "print('so far')\n1 / 0"}})
    assert failed.content.startswith("Error: ZeroDivisionError")
    assert failed.artifact.stdout == "so far\n"
    assert asyncio.run(tool.ainvoke({"code": "1 + 1"})) == "2"


def test_langchain_offers_the_same_function() -> None:
    with Client() as client:
        offered = convert_to_openai_tool(python_tool(client))["function"]
    function = dict(CHAT_TOOL["function"])
    function.pop("strict")
    offered["parameters"].pop("title", None)
    assert offered == function


def test_the_tool_of_langchain_raises_failures_of_the_service(service: Service) -> None:
    with Client(service.url, token="wrong") as client:
        tool = python_tool(client, name="python", description="Run it.")
        assert tool.name == "python"
        with pytest.raises(cellblock.Unauthorized):
            tool.invoke({"code": "1"})
