"""What Cellblock answers with, as api/openapi.yaml names it.

Fields that are not known here are left out: later versions of the service may
add some. `result` is what the JSON gives, whole numbers of any size included.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from .decoding import read
from .errors import NotEnded, UnexpectedAnswer, of_job

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
BatchStatus = Literal["running", "ended"]
CallbackStatus = Literal["waiting", "pending", "delivered", "failed"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a job took: times in milliseconds, memory in bytes.

    None where a value cannot be known.
    """

    queued_ms: float
    prepare_ms: float
    run_ms: float
    cpu_ms: float | None
    memory_peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Truncated:
    """Which outputs were cut at their bound."""

    stdout: bool
    stderr: bool


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit that was met; `unit` is `seconds`, `bytes` or `count`."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that a script left in `outputs/`; `size` is in bytes."""

    name: str
    size: int
    media_type: str
    sha256: str
    url: str
    content_base64: str | None = None

    @property
    def content(self) -> bytes | None:
        """The content, if it was asked for with `inline_files` and is small."""
        if self.content_base64 is None:
            return None
        return base64.b64decode(self.content_base64)


@dataclass(frozen=True, kw_only=True)
class OmittedFile:
    """A file that a script left and that did not fit into a limit.

    `size` is in bytes; None for a figure that was not drawn.
    """

    name: str
    size: int | None
    limit: Limit


@dataclass(frozen=True, kw_only=True)
class Callback:
    """What became of a job's `callback_url`."""

    url: str
    status: CallbackStatus
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    response_status: int | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job left, however it ended, and what else is known of a failure.

    `stdout` and `stderr` are empty, and the rest is None, where there is nothing.
    """

    stdout: str = ""
    stderr: str = ""
    usage: Usage | None = None
    truncated: Truncated | None = None
    files: tuple[OutputFile, ...] = ()
    files_omitted: tuple[OmittedFile, ...] = ()
    notes: tuple[str, ...] = ()
    limit: Limit | None = None
    detail: str | None = None
    hint: str | None = None
    traceback: str | None = None
    line: int | None = None
    column: int | None = None
    text: str | None = None
    exit_code: int | None = None
    signal: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job(Outcome):
    """A job as it stands.

    With `result` if it succeeded; with `error` and `code` if it failed or was
    cancelled.
    """

    job_id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result: Any = None
    error: str | None = None
    code: str | None = None
    callback: Callback | None = None

    @property
    def ended(self) -> bool:
        """Whether the job stands where it will stay."""
        return self.status not in ("queued", "running")

    def raise_for_failure(self) -> None:
        """Raise the `JobFailed` that says why, if the job failed or was cancelled."""
        if self.ended and self.status != "succeeded":
            raise of_job(self)

    def to_result(self) -> ExecuteResult:
        """What `run` gives of a job that succeeded.

        Raises the failure of one that did not, and `NotEnded` of one that goes on.
        """
        self.raise_for_failure()
        if not self.ended:
            raise NotEnded(f"the job is {self.status}", job_id=self.job_id)
        if self.usage is None or self.truncated is None:
            raise UnexpectedAnswer("the job has ended, without its usage")
        return ExecuteResult(**{f.name: getattr(self, f.name) for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class ErrorBody(Outcome):
    """What every error answers with (the contract's `Error`).

    `status` and the times are there if it is about a job that ended.
    """

    error: str
    code: str
    job_id: str | None = None
    status: JobStatus | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    callback: Callback | None = None


@dataclass(frozen=True, kw_only=True)
class ExecuteResult(Job):
    """A job that succeeded."""

    result: Any = field()
    stdout: str = field()
    stderr: str = field()
    usage: Usage = field()
    truncated: Truncated = field()


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A job that has not ended."""

    job_id: str
    status: JobStatus


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """A job in a list."""

    job_id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class JobList:
    """A page of jobs, newest first."""

    jobs: tuple[JobSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class CallbackMessage:
    """What is posted to a `callback_url`. Check its signature before you read it."""

    type: str
    timestamp: datetime
    data: Job

    @classmethod
    def from_json(cls, body: bytes | str) -> CallbackMessage:
        """Read the body of a callback; `UnexpectedAnswer` if it is none."""
        return read(cls, body)


@dataclass(frozen=True, kw_only=True)
class BatchCounts:
    """How many of a batch's jobs stand where; `total` is the sum of the others."""

    total: int
    refused: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as it stands."""

    batch_id: str
    status: BatchStatus
    created_at: datetime
    finished_at: datetime | None
    counts: BatchCounts


@dataclass(frozen=True, kw_only=True)
class BatchMember:
    """What became of a job of a batch: `job_id`, or `error` and `code`."""

    index: int
    job_id: str | None = None
    error: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchAccepted(Batch):
    """A batch that was accepted."""

    members: tuple[BatchMember, ...]


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What a job of a batch gave.

    `job`, or `error` and `code` of one that was refused or has expired.
    """

    index: int
    job: Job | None = None
    error: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Health:
    """The process lives."""

    status: str


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Jobs can be accepted; `workers` is how many workers take them up."""

    status: str
    workers: int
