"""Calls every tool with a Python client, and prints what came back as JSON.

Usage: agent.py mcp|fastmcp URL|PROGRAM. The token is in CELLBLOCK_TOKEN.
"""

import asyncio
import json
import os
import sys

CODE = """
import matplotlib.pyplot as plt
print("from the sandbox", flush=True)
plt.plot([1, 2, 4])
open("outputs/out.csv", "w").write("a,b\\n1,2\\n")
6 * 7
"""


def connect_mcp(target: str):
    """Return the SDK's client."""
    import httpx2
    import mcp
    from mcp.client.streamable_http import streamable_http_client

    if not target.startswith("http"):
        server = mcp.StdioServerParameters(command=target, args=["mcp"], env=dict(os.environ))
        return mcp.Client(server)
    headers = {"Authorization": f"Bearer {os.environ['CELLBLOCK_TOKEN']}"}
    http = httpx2.AsyncClient(headers=headers, timeout=60)
    return mcp.Client(streamable_http_client(target, http_client=http))


def connect_fastmcp(target: str):
    """Return fastmcp's client."""
    import fastmcp
    from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

    if not target.startswith("http"):
        return fastmcp.Client(StdioTransport(target, ["mcp"], env=dict(os.environ)))
    return fastmcp.Client(StreamableHttpTransport(target, auth=os.environ["CELLBLOCK_TOKEN"]))


def answer_of(result) -> dict:
    """Return a tool's answer as the wire has it."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main(library: str, target: str) -> dict:
    """Call every tool."""
    progress = []

    async def on_progress(_done, _total, message) -> None:
        progress.append(message)

    is_sdk = library == "mcp"
    client = (connect_mcp if is_sdk else connect_fastmcp)(target)
    async with client:

        async def call(name: str, **arguments) -> dict:
            if is_sdk:
                return answer_of(await client.call_tool(name, arguments, progress_callback=on_progress))
            return answer_of(await client.call_tool_mcp(name, arguments, progress_handler=on_progress))

        tools = await client.list_tools()
        if is_sdk:
            tools = tools.tools
        run = await call("run_python", code=CODE)
        job_id = run["structuredContent"]["job_id"]
        failed = await call("run_python", code="1/0")
        got = await call("get_job", job_id=job_id, wait_seconds=1)
        read = await call("read_file", job_id=job_id, path="out.csv")
        cancelled = await call("cancel_job", job_id=job_id)
        environments = await call("list_environments")
    return {
        "tools": sorted(tool.name for tool in tools),
        "progress": progress,
        "run_python": run,
        "failed": failed,
        "get_job": got,
        "read_file": read,
        "cancel_job": cancelled,
        "list_environments": environments,
    }


print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
