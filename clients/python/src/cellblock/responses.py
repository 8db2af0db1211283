"""Responses of the service, and the exceptions for those that are errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .decoding import read
from .errors import CellblockError, JobFailed, UnexpectedResponse, error_class
from .models import ErrorBody, Job


@dataclass(frozen=True)
class Response:
    """A response: its status, its headers (case-insensitive), and its whole body.

    The body of a streamed response is empty.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """The seconds in `Retry-After`; None if the header is missing or a date."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() else None

    def failure(self) -> CellblockError:
        """The exception for this response."""
        try:
            body = read(ErrorBody, self.body)
        except UnexpectedResponse:
            sentence = f"the response was {self.status}, without a reason"
            body = ErrorBody(error=sentence, code="")
        # Failures of a job have its id; refusals with these statuses have none.
        ended = bool(body.job_id) and self.status in (400, 409, 422, 500)
        error = error_class(body.code, self.status, ended=ended)(
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
