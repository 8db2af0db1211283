"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
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

    def __init__(self, http: httpx.Client, settings: Settings) -> None:
        self._http = http
        self._settings = settings
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def perform(self, step: Step) -> Any:
        """Return the step's outcome, or the error of the connection."""
        try:
            return self._perform(step)
        except httpx.RequestError as error:
            return error
        except RuntimeError as error:
            if self._http.is_closed:
                raise ClientClosed("the client is closed") from error
            raise

    def _perform(self, step: Step) -> Any:
        match step:
            case Send(request):
                return self._open(request, streamed=False)
            case Open(request):
                return self._open(request, streamed=True)
            case Next():
                return next(self._chunks, None)
            case Pause(seconds):
                return time.sleep(seconds)
            case CallBlocking(function):
                return function()

    def _open(self, request: Request, *, streamed: bool) -> Response:
        self.close()
        built = self._http.build_request(**self._settings.request_arguments(request))
        response = self._response = self._http.send(built, stream=True)
        if streamed and response.status_code == 200:
            self._chunks = response.iter_bytes()
            return Response(response.status_code, response.headers, b"")
        body = response.read()
        return Response(response.status_code, response.headers, body)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


def _call(
    plan: Callable[Concatenate[Retries, P], Plan[T]],
) -> Callable[Concatenate[Client, P], T]:
    """Make a method that runs a plan and returns its result."""

    @with_signature_of(plan)
    def method(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        steps = Steps(plan(client.retries, *args, **kwargs))
        with client._connection() as connection:
            for step in steps:
                steps.set_outcome(connection.perform(step))
        return steps.result

    return method


def _iterate(
    flow: Callable[Concatenate[Retries, P], Flow[T, None]],
) -> Callable[Concatenate[Client, P], Generator[T, None, None]]:
    """Make a method that runs a flow and yields its items."""

    @with_signature_of(flow, "Iterator[{}]")
    def method(
        client: Client, /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        steps = Steps(flow(client.retries, *args, **kwargs))
        with client._connection() as connection:
            for step in steps:
                if isinstance(step, Yield):
                    yield step.item
                else:
                    steps.set_outcome(connection.perform(step))

    return method


class Client:
    r"""A blocking client of Cellblock. Threads may share it.

    It opens at most 100 connections; further calls wait for a free one.

        with Client() as client:
            print(client.run("def main():\n    return 42").result)

    base_url, token and timeout are documented at `settings.Settings`, retries at
    `Retries`. transport is an httpx transport, for a proxy or your own certificate
    authority; the client closes it.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = Settings(base_url, token, timeout)
        self.retries = retries or Retries()
        self._http = httpx.Client(
            transport=transport, **self._settings.client_arguments()
        )

    def __repr__(self) -> str:
        return f"Client({self._settings})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _connection(self) -> closing[_Connection]:
        return closing(_Connection(self._http, self._settings))

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
