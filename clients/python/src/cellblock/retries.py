"""When to ask again."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

REPEATED_STATUSES = frozenset({429, 502, 503, 504})
"""Answers that time mends. A repeated POST is safe, as it has its idempotency key."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often, and after which pauses, a request is made again.

    attempts: how often in all, from 1, which means once; for what waits, watches
        or reads results, twice as often in a row without anything having come.
    first_pause: seconds before the second attempt. Each further pause is twice
        as long; of each, a random part of up to a half is left out.
    longest_pause: the most seconds of a pause. A service that asks for more
        (`Retry-After`) is not asked again.
    """

    attempts: int = 5
    first_pause: float = 0.2
    longest_pause: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_pause < 0 or self.longest_pause < 0:
            raise ValueError("attempts must be 1 or more, pauses 0 or more")

    def patient(self) -> Retries:
        """For what has begun: a service that is started anew ends none of it."""
        if self.attempts == 1:
            return self
        return replace(self, attempts=2 * self.attempts)

    def pause(self, attempt: int, asked: float | None = None) -> float | None:
        """Seconds to wait after an attempt, counted from 1; None for no further one.

        asked is how many the service wants; it is never asked earlier than that.
        """
        asked = asked or 0.0
        if attempt >= self.attempts or asked > self.longest_pause:
            return None
        most = min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))
        return asked + most * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
