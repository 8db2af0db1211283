"""The steps of a call, independent of the client that performs them.

A plan is a generator: it yields steps and is sent the outcome of each. The two
clients only perform steps, one blocking and one awaiting, so that every decision is
made in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from .errors import CellblockError, Unreachable
from .requests import Request
from .responses import Response
from .retries import RETRIED_STATUSES, Retries

T = TypeVar("T")
R = TypeVar("R")

# After these errors a request may be repeated, whether or not it was received.
_TEMPORARY_ERRORS = (
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)


@dataclass(frozen=True)
class Send:
    """Send the request and read the whole response. The outcome is a `Response`."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send the request; leave a 200 body unread. Closes the previous response."""

    request: Request


@dataclass(frozen=True)
class Next:
    """Read from the opened response. The outcome is bytes, or None at its end."""


@dataclass(frozen=True)
class Pause:
    """Sleep."""

    seconds: float


@dataclass(frozen=True)
class CallBlocking:
    """Call a function that may block. The outcome is what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Yield(Generic[T]):
    """Yield an item from the client's iterator."""

    item: T


Step = Send | Open | Next | Pause | CallBlocking
Plan = Generator[Step, Any, T]
"""Steps that end in a T."""

Flow = Generator[Step | Yield[T], Any, R]
"""Steps with Ts between them, that end in an R."""

S = TypeVar("S")


class Steps(Generic[S, T]):
    """Iterates over the steps of a plan; `set_outcome` passes each outcome to it."""

    result: T
    """What the plan ended in."""

    def __init__(self, plan: Generator[S, Any, T]) -> None:
        self._plan = plan
        self._outcome: Any = None

    def __iter__(self) -> Iterator[S]:
        return self

    def __next__(self) -> S:
        outcome, self._outcome = self._outcome, None
        try:
            if isinstance(outcome, httpx.RequestError):
                return self._plan.throw(outcome)
            return self._plan.send(outcome)
        except StopIteration as end:
            self.result = end.value
            raise

    def set_outcome(self, value: Any) -> None:
        """Pass on the outcome of the step; an error of httpx is raised in the plan."""
        self._outcome = value


def call_blocking(function: Callable[[], T]) -> Plan[T]:
    """Call a function that may block."""
    result: T = yield CallBlocking(function)
    return result


def send_with_retries(
    request: Request,
    retries: Retries,
    *,
    expected: tuple[int, ...] = (200,),
    step: type[Send] | type[Open] = Send,
) -> Plan[Response]:
    """Send a request, with retries, until the status is one of expected."""
    attempt = 0
    while True:
        attempt += 1
        outcome = yield from attempt_once(request, step)
        if isinstance(outcome, Response):
            if outcome.status in expected:
                return outcome
            failure = outcome.failure()
            if outcome.status not in RETRIED_STATUSES:
                raise failure
        else:
            failure = outcome
        pause = retries.pause(attempt, failure.retry_after)
        if pause is None:
            raise failure
        yield Pause(pause)


def attempt_once(
    request: Request, step: type[Send] | type[Open]
) -> Plan[Response | CellblockError]:
    """Send a request once. Returns the error if another attempt may succeed."""
    try:
        response: Response = yield step(request)
    except httpx.RequestError as error:
        return to_unreachable(error)
    return response


def to_unreachable(error: httpx.RequestError) -> Unreachable:
    """Return the exception for a failed connection; raise it if it is permanent."""
    # The error's own text may be empty.
    failure = Unreachable(f"no response: {type(error).__name__} {error}".rstrip())
    failure.__cause__ = error
    if not isinstance(error, _TEMPORARY_ERRORS):
        raise failure
    return failure
