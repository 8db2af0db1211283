"""When to retry a request."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
"""Temporary errors. A repeated POST is safe, since it has its idempotency key."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """The number of attempts, and the pauses between them.

    attempts: the maximum number, from 1, which disables retries. Calls that wait, watch
        or read results make twice as many, counted from the last data received.
    first_pause: seconds before the second attempt. The pause doubles with each
        attempt; a random part of up to half of it is left out.
    longest_pause: the maximum, in seconds. If the service asks for more
        (`Retry-After`), there is no further attempt.
    """

    attempts: int = 5
    first_pause: float = 0.2
    longest_pause: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first_pause < 0 or self.longest_pause < 0:
            raise ValueError("attempts must be 1 or more, pauses 0 or more")

    def patient(self) -> Retries:
        """More attempts, so that waiting for a job survives a service restart."""
        if self.attempts == 1:
            return self
        return replace(self, attempts=2 * self.attempts)

    def pause(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Return the seconds to wait after an attempt, from 1; None to stop retrying.

        retry_after is the service's `Retry-After`, the minimum.
        """
        retry_after = retry_after or 0.0
        if attempt >= self.attempts or retry_after > self.longest_pause:
            return None
        upper = min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))
        return retry_after + upper * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
