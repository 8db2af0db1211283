"""The service, and both clients with one interface."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from cellblock import AsyncClient, Client, Retries
from gateway import Gateway
from service import TOKEN, Service

# Short pauses, but the usual number of attempts.
SHORT_PAUSES = Retries(first_pause=0.01, longest_pause=5)


class AsyncAdapter:
    """An `AsyncClient` with the interface of a `Client`: each call runs the loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(*args, **kwargs)

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def close_only(self) -> None:
        """Close the client, and keep the loop for more calls."""
        self._loop.run_until_complete(self._client.aclose())

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            made = method(*args, **kwargs)
            if inspect.isasyncgen(made):
                return self._each(made)
            return self._loop.run_until_complete(made)

        return call

    def _each(self, made: Any) -> Iterator[Any]:
        end = object()
        try:
            while (item := self._loop.run_until_complete(self._next(made, end))) != end:
                yield item
        finally:
            self._loop.run_until_complete(made.aclose())

    @staticmethod
    async def _next(made: Any, end: object) -> Any:
        return await anext(made, end)

    def __repr__(self) -> str:
        return repr(self._client)


class Clients:
    """Makes clients of one kind and closes them."""

    def __init__(self, kind: type[Client] | type[AsyncAdapter]) -> None:
        self._kind = kind
        self._made: list[Client | AsyncAdapter] = []

    def __call__(self, url: str, **settings: Any) -> Any:
        made = self._kind(url, **{"token": TOKEN, "retries": SHORT_PAUSES, **settings})
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("service"))
    yield running
    code = running.stop()
    assert code == 0, running.log()
    assert TOKEN not in running.log()


# Both are created once: httpx reads the system's certificates for each client.
@pytest.fixture(scope="session", params=[Client, AsyncAdapter], ids=["sync", "async"])
def clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    made = Clients(request.param)
    yield made
    made.close()


@pytest.fixture(scope="session")
def client(clients: Clients, service: Service) -> Any:
    return clients(service.url)


@pytest.fixture(scope="session")
def session_gateway(service: Service) -> Iterator[Gateway]:
    with Gateway(service.url) as running:
        yield running


@pytest.fixture
def gateway(session_gateway: Gateway) -> Iterator[Gateway]:
    """The gateway, without planned faults and recorded requests."""
    yield session_gateway
    session_gateway.reset()


@pytest.fixture(scope="session")
def gateway_client(clients: Clients, session_gateway: Gateway) -> Any:
    return clients(session_gateway.url)


@pytest.fixture
def faulty_client(gateway_client: Any, gateway: Gateway) -> Any:
    """A client that reaches the service through the gateway."""
    assert gateway.url in repr(gateway_client)
    return gateway_client


@pytest.fixture
def unused_url() -> str:
    """The URL of a port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
