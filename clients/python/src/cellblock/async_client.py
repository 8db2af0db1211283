"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from . import plans
from .errors import ClientClosed
from .requests import Request
from .responses import Response
from .retries import Retries
from .settings import Settings
from .signatures import with_signature_of
from .steps import CallBlocking, Flow, Next, Open, Pause, Plan, Send, Step, Steps, Yield

P = ParamSpec("P")
T = TypeVar("T")


class _Connection:
    """Performs the steps of one plan; holds the response that is being streamed."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings) -> None:
        self._http = http
        self._settings = settings
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def perform(self, step: Step) -> Any:
        """Return the step's outcome, or the error of the connection."""
        try:
            return await self._perform(step)
        except httpx.RequestError as error:
            return error
        except RuntimeError as error:
            if self._http.is_closed:
                raise ClientClosed("the client is closed") from error
            raise

    async def _perform(self, step: Step) -> Any:
        match step:
            case Send(request):
                return await self._open(request, streamed=False)
            case Open(request):
                return await self._open(request, streamed=True)
            case Next():
                return await anext(self._chunks, None) if self._chunks else None
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case CallBlocking(function):
                return await asyncio.to_thread(function)

    async def _open(self, request: Request, *, streamed: bool) -> Response:
        await self.aclose()
        built = self._http.build_request(**self._settings.request_arguments(request))
        response = self._response = await self._http.send(built, stream=True)
        if streamed and response.status_code == 200:
            self._chunks = response.aiter_bytes()
            return Response(response.status_code, response.headers, b"")
        body = await response.aread()
        return Response(response.status_code, response.headers, body)

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()


def _call(
    plan: Callable[Concatenate[Retries, P], Plan[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Make a method that runs a plan and returns its result."""

    @with_signature_of(plan)
    async def method(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        steps = Steps(plan(client.retries, *args, **kwargs))
        async with client._connection() as connection:
            for step in steps:
                steps.set_outcome(await connection.perform(step))
        return steps.result

    return method


def _iterate(
    flow: Callable[Concatenate[Retries, P], Flow[T, None]],
) -> Callable[Concatenate[AsyncClient, P], AsyncGenerator[T, None]]:
    """Make a method that runs a flow and yields its items."""

    @with_signature_of(flow, "AsyncIterator[{}]")
    async def method(
        client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T, None]:
        steps = Steps(flow(client.retries, *args, **kwargs))
        async with client._connection() as connection:
            for step in steps:
                if isinstance(step, Yield):
                    yield step.item
                else:
                    steps.set_outcome(await connection.perform(step))

    return method


class AsyncClient:
    r"""`Client` for asyncio: the same methods, to be awaited or iterated over.

        async with AsyncClient() as client:
            print((await client.run("def main():\n    return 42")).result)

    If you leave an iterator before its end, close it (`contextlib.aclosing`), so that
    its connection is released at once.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = Settings(base_url, token, timeout)
        self.retries = retries or Retries()
        self._http = httpx.AsyncClient(
            transport=transport, **self._settings.client_arguments()
        )

    def __repr__(self) -> str:
        return f"AsyncClient({self._settings})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _connection(self) -> aclosing[_Connection]:
        return aclosing(_Connection(self._http, self._settings))

    run = _call(plans.run)
    submit = _call(plans.submit)
    get = _call(plans.get)
    wait = _call(plans.wait)
    list = _iterate(plans.list_jobs)
    cancel = _call(plans.cancel)
    watch = _iterate(plans.watch)
    file = _call(plans.file)
    stream_file = _iterate(plans.stream_file)
    upload_file = _call(plans.upload_file)
    download_file = _call(plans.download_file)
    delete_file = _call(plans.delete_file)
    submit_batch = _call(plans.submit_batch)
    get_batch = _call(plans.get_batch)
    wait_batch = _call(plans.wait_batch)
    batch_results = _iterate(plans.batch_results)
    cancel_batch = _call(plans.cancel_batch)
    environments = _call(plans.environments)
    usage = _call(plans.usage)
    activity = _call(plans.activity)
    workers = _call(plans.workers)
    webhook_secret = _call(plans.webhook_secret)
    ready = _call(plans.ready)
    health = _call(plans.health)
    metrics = _call(plans.metrics)
