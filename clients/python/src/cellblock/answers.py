"""Answers over HTTP, and what is wrong with those that are errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .decoding import read
from .errors import CellblockError, JobFailed, UnexpectedAnswer, class_of
from .models import ErrorBody, Job


@dataclass(frozen=True)
class Answer:
    """An answer: its status, its headers (in any case), and its whole body.

    The body of one that is to be streamed is empty.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the service wants to be asked again."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() else None

    def failure(self) -> CellblockError:
        """The exception for an answer that is not what was asked for."""
        try:
            body = read(ErrorBody, self.body)
        except UnexpectedAnswer:
            sentence = f"the answer was {self.status}, without a reason"
            body = ErrorBody(error=sentence, code="")
        # What says that a job failed names it; refusals name none with these.
        ended = bool(body.job_id) and self.status in (400, 409, 422, 500)
        error = class_of(body.code, self.status, ended=ended)(
            body.error,
            code=body.code or None,
            status=self.status,
            job_id=body.job_id,
            retry_after=self.retry_after,
            request_id=self.headers.get("X-Request-Id"),
        )
        if isinstance(error, JobFailed):
            error.outcome = body
            if body.status is not None:
                error.job = read(Job, self.body)
        return error
