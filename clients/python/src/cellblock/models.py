"""The service's responses, with the names in api/openapi.yaml.

Unknown fields are ignored, since later versions of the service may add some. `result`
is the decoded JSON, with integers of any size.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, Literal

from .decoding import read
from .errors import NotEnded, UnexpectedResponse, error_of_job
from .options import FileRef

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
BatchStatus = Literal["running", "ended"]
WorkerStatus = Literal["active", "draining"]
Entry = Literal["script", "cell"]
CallbackStatus = Literal["waiting", "pending", "delivered", "failed"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a job used: times in milliseconds, memory in bytes.

    A value that could not be measured is None.
    """

    queued_ms: float
    prepare_ms: float
    run_ms: float
    cpu_ms: float | None
    memory_peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Truncated:
    """Which outputs were cut at their limit."""

    stdout: bool
    stderr: bool


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit that was reached; `unit` is `seconds`, `bytes` or `count`."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class JobLimits:
    """The limits of a job, with the names and units of those that `run` takes."""

    wall_seconds: float
    cpu_seconds: float
    memory_mb: float
    processes: int
    output_bytes: int


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
        """The content, if the file is small and `inline_files` was set."""
        if self.content_base64 is None:
            return None
        return base64.b64decode(self.content_base64)


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file that was uploaded for later jobs; `size` is in bytes."""

    file_id: str
    name: str
    size: int
    media_type: str
    sha256: str
    expires_at: datetime

    @property
    def ref(self) -> FileRef:
        """The reference for `files` of a job."""
        return FileRef(file_id=self.file_id)


@dataclass(frozen=True, kw_only=True)
class OmittedFile:
    """A file that a script left and that exceeded a limit.

    `size` is in bytes; None for a figure that was not drawn.
    """

    name: str
    size: int | None
    limit: Limit


@dataclass(frozen=True, kw_only=True)
class DisplayForm:
    """A form of a display: `text`, a `file` (a name in `files`), or `json`."""

    type: str
    text: str | None = None
    file: str | None = None
    json: Any = None


@dataclass(frozen=True, kw_only=True)
class Display:
    """A value that a cell showed; the richest form first, `text/plain` last."""

    forms: tuple[DisplayForm, ...]

    def form(self, media_type: str) -> DisplayForm | None:
        """Return the form of a media type; None if there is none."""
        return next((each for each in self.forms if each.type == media_type), None)


@dataclass(frozen=True, kw_only=True)
class OmittedDisplay:
    """A form of a display, or a whole one (`type` is empty), that exceeded a limit.

    `display` counts from 1; `bytes` is None if the size is not known.
    """

    display: int
    type: str
    bytes: int | None = None
    limit: str


@dataclass(frozen=True, kw_only=True)
class Callback:
    """The state of the delivery to a job's `callback_url`."""

    url: str
    status: CallbackStatus
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    response_status: int | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job left, however it ended, and the details of a failure.

    `stdout` and `stderr` are empty by default; the other fields are None or empty.
    `entry` is None for `main`. `exit_code` is that of a script (`entry="script"`),
    or of one that exited.
    """

    entry: Entry | None = None
    environment: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    stdout: str = ""
    stderr: str = ""
    usage: Usage | None = None
    truncated: Truncated | None = None
    files: tuple[OutputFile, ...] = ()
    files_omitted: tuple[OmittedFile, ...] = ()
    notes: tuple[str, ...] = ()
    displays: tuple[Display, ...] = ()
    displays_omitted: tuple[OmittedDisplay, ...] = ()
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
    """The current state of a job.

    `result` is set if it succeeded; `error` and `code` if it failed or was cancelled.
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
    tenant: str | None = None
    limits: JobLimits | None = None

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status not in ("queued", "running")

    def raise_for_failure(self) -> None:
        """Raise the `JobFailed` of a job that failed or was cancelled."""
        if self.ended and self.status != "succeeded":
            raise error_of_job(self)

    def to_result(self) -> ExecuteResult:
        """Convert a job that succeeded to the result type of `run`.

        Raises `JobFailed` if it failed or was cancelled, `NotEnded` if it has not
        ended.
        """
        self.raise_for_failure()
        if not self.ended:
            raise NotEnded(f"the job is {self.status}", job_id=self.job_id)
        if self.usage is None or self.truncated is None:
            raise UnexpectedResponse("the job has ended, without its usage")
        return ExecuteResult(**{f.name: getattr(self, f.name) for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class ErrorBody(Outcome):
    """The body of every error response (the contract's `Error`).

    `status` and the times are set if it is about a job that ended.
    """

    error: str
    code: str
    job_id: str | None = None
    status: JobStatus | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    callback: Callback | None = None
    tenant: str | None = None
    limits: JobLimits | None = None


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
    """A job in a list. `code` is set if it failed or was cancelled."""

    job_id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    code: str | None = None
    environment: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    tenant: str | None = None


@dataclass(frozen=True, kw_only=True)
class JobList:
    """A page of jobs, newest first."""

    jobs: tuple[JobSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class CallbackMessage:
    """The body posted to a `callback_url`. Verify its signature before decoding it."""

    type: str
    timestamp: datetime
    data: Job

    @classmethod
    def from_json(cls, body: bytes | str) -> CallbackMessage:
        """Decode a callback's body. Raises `UnexpectedResponse` if it is invalid."""
        return read(cls, body)


@dataclass(frozen=True, kw_only=True)
class BatchCounts:
    """The number of a batch's jobs by status; `total` is the sum of the others."""

    total: int
    refused: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The current state of a batch."""

    batch_id: str
    status: BatchStatus
    created_at: datetime
    finished_at: datetime | None
    counts: BatchCounts


@dataclass(frozen=True, kw_only=True)
class BatchMember:
    """The outcome of submitting a job of a batch: `job_id`, or `error` and `code`."""

    index: int
    job_id: str | None = None
    error: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class BatchAccepted(Batch):
    """An accepted batch."""

    members: tuple[BatchMember, ...]


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """The result of a job of a batch.

    It has `job`, or `error` and `code` if the job was refused or has expired.
    """

    index: int
    job: Job | None = None
    error: str | None = None
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Health:
    """The process is alive."""

    status: str


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The service accepts jobs; `workers` is the number of workers.

    The jobs of the environments in environments_without_workers wait for a worker.
    """

    status: str
    workers: int
    environments_without_workers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WebhookSecret:
    """The signing secret of a tenant's webhooks.

    secrets has more than one while the service's own is being replaced; each verifies
    all messages.
    """

    tenant: str
    generation: int
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class UsageTotals:
    """What several jobs used together.

    jobs counts them by outcome: `ok`, or the code of the failure. bytes_in are those of
    scripts and inputs, bytes_out those of results, output, displays and files.
    """

    jobs: dict[str, int]
    cpu_seconds: float
    wall_seconds: float
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, kw_only=True)
class DayUsage(UsageTotals):
    """What the jobs of one tenant used that ended on one day, a date in UTC.

    label is the value of the label, for usage by label: None for jobs without it, and
    "" for all values beyond the first 1000 of a tenant and day.
    """

    tenant: str
    day: date
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class UsageReport:
    """What jobs have used in a range of days: by tenant and then by day."""

    first_day: date
    last_day: date
    usage: tuple[DayUsage, ...]
    totals: UsageTotals


@dataclass(frozen=True, kw_only=True)
class ActivityMinute:
    """How many jobs ended in one minute, by outcome: `ok`, or the code of a failure."""

    at: datetime
    jobs: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How many jobs wait and run now, and how many ended in each of the last minutes.

    oldest_wait_seconds is None if none waits. minutes has 60, of which the last one has
    not ended, and totals their sums.
    """

    at: datetime
    queued: int
    oldest_wait_seconds: float | None
    running: int
    minutes: tuple[ActivityMinute, ...]
    totals: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class WorkerEnvironment:
    """An environment of a worker, and how many of its sandboxes wait for a job."""

    name: str
    ready: int | None
    hash: str


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A live worker. What a worker of an earlier version does not report is None.

    places is how many jobs it runs at once, busy how many it holds.
    """

    worker_id: str
    host: str
    version: str | None
    started_at: datetime | None
    last_seen_at: datetime
    status: WorkerStatus
    places: int | None
    busy: int
    environments: tuple[WorkerEnvironment, ...]


@dataclass(frozen=True, kw_only=True)
class WorkerList:
    """The live workers, ordered by host and id."""

    workers: tuple[Worker, ...]


@dataclass(frozen=True, kw_only=True)
class EnvironmentPackage:
    """A package of an environment."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A named, read-only Python with packages.

    workers is the number of workers that have it, and hashes are the versions of it
    that they have. limits are those of a job that asks for none, and max_limits the
    most that a request may ask for, of each by itself; both are None without a worker.
    """

    name: str
    description: str
    python: str
    packages: tuple[EnvironmentPackage, ...]
    workers: int
    hashes: tuple[str, ...]
    limits: JobLimits | None = None
    max_limits: JobLimits | None = None


@dataclass(frozen=True, kw_only=True)
class EnvironmentList:
    """The environments, the default first."""

    environments: tuple[Environment, ...]
