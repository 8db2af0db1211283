"""Streamed responses: reading them, and resuming after a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import httpx

from . import requests
from .decoding import build, parse, read
from .errors import CellblockError, UnexpectedResponse, Unreachable
from .events import End, Event, Output, State
from .models import BatchResult, Job
from .requests import Request
from .responses import Response
from .retries import RETRIED_STATUSES, Retries
from .sse import Message, Parser
from .steps import Flow, Next, Open, Pause, Yield, send_with_retries, to_unreachable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Reader(Protocol[T_co]):
    """Reads a stream that may take several connections."""

    ended: bool
    """Whether nothing more comes."""

    received_any: bool
    """Whether anything came since this was last set to False."""

    retry_after: float | None
    """The seconds that the service wants between two connections."""

    def request(self) -> Request:
        """Return the request for the rest; discards what is incomplete."""

    def feed(self, chunk: bytes) -> Iterator[T_co]:
        """Parse more of the response."""

    def finish(self) -> None:
        """Handle the regular end of the response."""


def follow(reader: Reader[T], retries: Retries) -> Flow[T, None]:
    """Read until the reader has everything, over as many connections as needed."""
    attempt = 0
    while True:
        attempt += 1
        reader.received_any = False
        failure = yield from _follow_once(reader)
        if failure is None:
            return
        if reader.received_any:
            attempt = 1
        pause = retries.pause(attempt, failure.retry_after or reader.retry_after)
        if pause is None:
            raise failure
        yield Pause(pause)


def _follow_once(reader: Reader[T]) -> Flow[T, CellblockError | None]:
    """Read one connection. Returns the error if it ended too early, else None."""
    try:
        response: Response = yield Open(reader.request())
        if response.status == 204:
            return None
        if response.status != 200:
            failure = response.failure()
            if response.status in RETRIED_STATUSES:
                return failure
            raise failure
        while not reader.ended:
            chunk: bytes | None = yield Next()
            if chunk is None:
                reader.finish()
                break
            for item in reader.feed(chunk):
                yield Yield(item)
    except httpx.RequestError as error:
        return to_unreachable(error)
    return None if reader.ended else Unreachable("the response broke off")


def download(request: Request, retries: Retries) -> Flow[bytes, None]:
    """Yield the chunks of a response's body. It retries only until the body begins."""
    yield from send_with_retries(request, retries, step=Open)
    try:
        while True:
            chunk: bytes | None = yield Next()
            if chunk is None:
                return
            yield Yield(chunk)
    except httpx.RequestError as error:
        raise to_unreachable(error) from error


class EventReader:
    """Reads a job's events."""

    def __init__(self, job_id: str, after: str) -> None:
        self.ended = self.received_any = False
        self.retry_after: float | None = None
        self._job_id = job_id
        self._last_id = after
        self._parser = Parser()

    def request(self) -> Request:
        """See Reader."""
        self._parser = Parser()
        return requests.watch(self._job_id, self._last_id)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """See Reader."""
        for message in self._parser.feed(chunk):
            self.received_any = True
            self._last_id = message.id or self._last_id
            event = _event(message)
            if event is not None:
                yield event
            if isinstance(event, End):
                self.ended = True
                return
        self.received_any = self.received_any or self._parser.comments > 0
        if self._parser.retry is not None:
            self.retry_after = self._parser.retry / 1000

    def finish(self) -> None:
        """See Reader. Only the event `end` ends the stream."""


def _event(message: Message) -> Event | None:
    """Convert a message to an event; None if its type is unknown."""
    match message.event:
        case "state":
            return build(State, {**_parse_object(message.data), "id": message.id})
        case "stdout" | "stderr":
            fields = {"stream": message.event, "id": message.id}
            return build(Output, {**_parse_object(message.data), **fields})
        case "end":
            return End(job=read(Job, message.data), id=message.id)
        case _:
            return None


def _parse_object(data: str) -> dict[str, Any]:
    parsed = parse(data)
    if not isinstance(parsed, dict):
        raise UnexpectedResponse("the data of an event is no object")
    return parsed


class ResultReader:
    """Reads a batch's results."""

    def __init__(self, batch_id: str, after: int, *, wait: bool) -> None:
        self.ended = self.received_any = False
        self.retry_after: float | None = None
        self._batch_id = batch_id
        self._wait = wait
        self._lines_read = after
        self._rest = b""

    def request(self) -> Request:
        """See Reader."""
        self._rest = b""
        return requests.batch_results(
            self._batch_id, self._lines_read, follow=self._wait
        )

    def feed(self, chunk: bytes) -> Iterator[BatchResult]:
        """See Reader."""
        self.received_any = True
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                self._lines_read += 1
                yield read(BatchResult, line)

    def finish(self) -> None:
        """See Reader. A service that shuts down ends the response within a line."""
        self.ended = not self._rest
