"""What a call does, step by step, apart from who does it.

A plan is a generator: it yields steps and is sent what came of each. The two
clients only perform steps, one blocking and one awaiting, so that all that has
to be decided is decided in one place.
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

# One request may be made again after these, whether it was read or not.
_PASSING = (
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)


@dataclass(frozen=True)
class Send:
    """Make the request, and read the whole answer: gives an `Answer`."""

    request: Request


@dataclass(frozen=True)
class Open:
    """The same, but leave a body with status 200 unread. Closes the one before."""

    request: Request


@dataclass(frozen=True)
class Next:
    """Read on in the opened answer: gives bytes, or None at its end."""


@dataclass(frozen=True)
class Pause:
    """Wait that many seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Call a function that may block: gives what it gives."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hand something to whoever iterates."""

    item: T


Step = Send | Open | Next | Pause | Work
Plan = Generator[Step, Any, T]
"""Steps that end in a T."""

Flow = Generator[Step | Emit[T], Any, R]
"""Steps with Ts between them, that end in an R."""

S = TypeVar("S")


class Steps(Generic[S, T]):
    """Goes through a plan. What came of a step is said with `reply`."""

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
        """Say what came of the step; an error of httpx is raised in the plan."""
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
    """Make a request, again if need be, until there is a good answer."""
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
    """Make a request once. Gives the error of a connection that may be better soon."""
    try:
        answer: Answer = yield how(request)
    except httpx.RequestError as error:
        return lost(error)
    return answer


def lost(error: httpx.RequestError) -> Unreachable:
    """What to say of a connection that failed; raises it if no other would do."""
    # Not the error's own text alone, which may be empty.
    failure = Unreachable(f"no answer: {type(error).__name__} {error}".rstrip())
    failure.__cause__ = error
    if not isinstance(error, _PASSING):
        raise failure
    return failure
