"""Streamed responses: reading them, and resuming after a lost connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar

import httpx

from . import requests
from .answers import Answer
from .decoding import build, parse, read
from .errors import CellblockError, UnexpectedAnswer, Unreachable
from .events import End, Event, Output, State
from .models import BatchResult, Job
from .requests import Request
from .retries import REPEATED_STATUSES, Retries
from .sse import Message, Parser
from .steps import Emit, Flow, Next, Open, Pause, exchange, lost

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Reader(Protocol[T_co]):
    """Reads a stream that may take several connections."""

    ended: bool
    """Whether nothing more comes."""

    moved: bool
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
        reader.moved = False
        failure = yield from _follow_once(reader)
        if failure is None:
            return
        if reader.moved:
            attempt = 1
        pause = retries.pause(attempt, failure.retry_after or reader.retry_after)
        if pause is None:
            raise failure
        yield Pause(pause)


def _follow_once(reader: Reader[T]) -> Flow[T, CellblockError | None]:
    """Read one connection. Returns the error if it ended too early, else None."""
    try:
        answer: Answer = yield Open(reader.request())
        if answer.status == 204:
            return None
        if answer.status != 200:
            failure = answer.failure()
            if answer.status in REPEATED_STATUSES:
                return failure
            raise failure
        while not reader.ended:
            chunk: bytes | None = yield Next()
            if chunk is None:
                reader.finish()
                break
            for item in reader.feed(chunk):
                yield Emit(item)
    except httpx.RequestError as error:
        return lost(error)
    return None if reader.ended else Unreachable("the answer broke off")


def download(request: Request, retries: Retries) -> Flow[bytes, None]:
    """Yield the chunks of a response's body. It retries only until the body begins."""
    yield from exchange(request, retries, how=Open)
    try:
        while True:
            chunk: bytes | None = yield Next()
            if chunk is None:
                return
            yield Emit(chunk)
    except httpx.RequestError as error:
        raise lost(error) from error


class EventReader:
    """Reads a job's events."""

    def __init__(self, job_id: str, after: str) -> None:
        self.ended = self.moved = False
        self.retry_after: float | None = None
        self._job_id = job_id
        self._last = after
        self._parser = Parser()

    def request(self) -> Request:
        """See Reader."""
        self._parser = Parser()
        return requests.watch(self._job_id, self._last)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """See Reader."""
        for message in self._parser.feed(chunk):
            self.moved = True
            self._last = message.id or self._last
            event = _event(message)
            if event is not None:
                yield event
            if isinstance(event, End):
                self.ended = True
                return
        self.moved = self.moved or self._parser.comments > 0
        if self._parser.retry is not None:
            self.retry_after = self._parser.retry / 1000

    def finish(self) -> None:
        """See Reader. Only the event `end` ends the stream."""


def _event(message: Message) -> Event | None:
    """Convert a message to an event; None if its type is unknown."""
    match message.event:
        case "state":
            return build(State, {**_object(message.data), "id": message.id})
        case "stdout" | "stderr":
            more = {"stream": message.event, "id": message.id}
            return build(Output, {**_object(message.data), **more})
        case "end":
            return End(job=read(Job, message.data), id=message.id)
        case _:
            return None


def _object(data: str) -> dict[str, Any]:
    found = parse(data)
    if not isinstance(found, dict):
        raise UnexpectedAnswer("the data of an event is no object")
    return found


class ResultReader:
    """Reads a batch's results."""

    def __init__(self, batch_id: str, after: int, *, wait: bool) -> None:
        self.ended = self.moved = False
        self.retry_after: float | None = None
        self._batch_id = batch_id
        self._wait = wait
        self._lines = after
        self._rest = b""

    def request(self) -> Request:
        """See Reader."""
        self._rest = b""
        return requests.batch_results(self._batch_id, self._lines, follow=self._wait)

    def feed(self, chunk: bytes) -> Iterator[BatchResult]:
        """See Reader."""
        self.moved = True
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                self._lines += 1
                yield read(BatchResult, line)

    def finish(self) -> None:
        """See Reader. A service that shuts down ends the response within a line."""
        self.ended = not self._rest
