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

from .answers import Answer
from .errors import CellblockError, Unreachable
from .requests import Request
from .retries import REPEATED_STATUSES, Retries

T = TypeVar("T")
R = TypeVar("R")

# After these errors a request may be repeated, whether or not it was received.
_PASSING = (
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)


@dataclass(frozen=True)
class Send:
    """Send the request and read the whole response. The outcome is an `Answer`."""

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
class Work:
    """Call a function that may block. The outcome is what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Yield an item from the client's iterator."""

    item: T


Step = Send | Open | Next | Pause | Work
Plan = Generator[Step, Any, T]
"""Steps that end in a T."""

Flow = Generator[Step | Emit[T], Any, R]
"""Steps with Ts between them, that end in an R."""

S = TypeVar("S")


class Steps(Generic[S, T]):
    """Iterates over the steps of a plan. `reply` passes it the outcome of each."""

    result: T
    """What the plan ended in."""

    def __init__(self, plan: Generator[S, Any, T]) -> None:
        self._plan = plan
        self._reply: Any = None

    def __iter__(self) -> Iterator[S]:
        return self

    def __next__(self) -> S:
        reply, self._reply = self._reply, None
        try:
            if isinstance(reply, httpx.RequestError):
                return self._plan.throw(reply)
            return self._plan.send(reply)
        except StopIteration as end:
            self.result = end.value
            raise

    def reply(self, value: Any) -> None:
        """Pass on the outcome of the step; an error of httpx is raised in the plan."""
        self._reply = value


def work(function: Callable[[], T]) -> Plan[T]:
    """Call a function that may block."""
    result: T = yield Work(function)
    return result


def exchange(
    request: Request,
    retries: Retries,
    *,
    good: tuple[int, ...] = (200,),
    how: type[Send] | type[Open] = Send,
) -> Plan[Answer]:
    """Send a request, with retries, until the status is one of good."""
    attempt = 0
    while True:
        attempt += 1
        outcome = yield from attempt_once(request, how)
        if isinstance(outcome, Answer):
            if outcome.status in good:
                return outcome
            failure = outcome.failure()
            if outcome.status not in REPEATED_STATUSES:
                raise failure
        else:
            failure = outcome
        pause = retries.pause(attempt, failure.retry_after)
        if pause is None:
            raise failure
        yield Pause(pause)


def attempt_once(
    request: Request, how: type[Send] | type[Open]
) -> Plan[Answer | CellblockError]:
    """Send a request once. Returns the error if another attempt may succeed."""
    try:
        answer: Answer = yield how(request)
    except httpx.RequestError as error:
        return lost(error)
    return answer


def lost(error: httpx.RequestError) -> Unreachable:
    """Return the exception for a failed connection; raise it if it is permanent."""
    # The error's own text may be empty.
    failure = Unreachable(f"no answer: {type(error).__name__} {error}".rstrip())
    failure.__cause__ = error
    if not isinstance(error, _PASSING):
        raise failure
    return failure
