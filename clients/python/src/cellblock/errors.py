"""The exceptions, and the table that maps the contract's codes to them.

CellblockError
  Unreachable          no response, after all attempts
  UnexpectedResponse     a response that the contract does not have
  NotEnded             the time to wait is over; the job or batch continues
  ClientClosed         the client was closed before or during the call
  Unavailable          `unavailable`
  ServiceFault         `internal`
  Refused              nothing was accepted or done
    InvalidRequest     `invalid_request`, `cross_origin`, `host_not_allowed`,
                       `method_not_allowed`, `unsupported_media_type`,
                       `precondition_failed`, `range_not_satisfiable`
    TooLarge           `script_too_large`, `input_too_large`
    NotFound           `not_found`, `file_not_found`
    IdempotencyMismatch, Unauthorized, Forbidden, AlreadyFinished, QueueFull,
    StorageFull, RateLimited, QuotaExceeded
  JobFailed            the job ended without a result
    InvalidScript      `missing_main`, `syntax_error`, `args_mismatch`
    ScriptRaised       `exception`
    ScriptExited       `exit`
    NotSerializable    `not_serializable`
    LimitExceeded      `cpu_limit`, `memory_limit`, ...
      TimedOut         `timeout`
    Killed             `killed`
    Cancelled          `cancelled`
    WorkerLost         `worker_lost`
    NotStarted         `not_started`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import Job, Limit, Outcome


class CellblockError(Exception):
    """The base class of this package's exceptions (invalid arguments raise others).

    message: a sentence for people.
    code: the contract's error code; None if the response had none.
    status: the HTTP status; None without a response.
    job_id: the job that failed; None without one.
    retry_after: the seconds in `Retry-After`; None without one.
    request_id: identifies the request in the service's logs.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        job_id: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.job_id = job_id
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        about = [self.code, self.job_id and f"job {self.job_id}"]
        more = ", ".join(each for each in about if each)
        return f"{self._sentence()} ({more})" if more else self._sentence()

    def _sentence(self) -> str:
        return self.message


class Unreachable(CellblockError):
    """No response, after all attempts."""


class UnexpectedResponse(CellblockError):
    """A response that the contract does not have, such as a proxy's page."""


class NotEnded(CellblockError):
    """The time to wait is over; the job or batch continues."""


class ClientClosed(CellblockError):
    """The client was closed before or during the call; make a new one."""


class Unavailable(CellblockError):
    """The service cannot run jobs now; the job was not accepted, or was withdrawn."""


class ServiceFault(CellblockError):
    """An internal error of the service, which logs it under `request_id`."""


class Refused(CellblockError):
    """The request was refused; nothing was accepted or done."""


class InvalidRequest(Refused):
    """The request is malformed."""


class TooLarge(Refused):
    """The script or an input is above its limit."""


class IdempotencyMismatch(Refused):
    """The idempotency key belongs to a different request."""


class Unauthorized(Refused):
    """The token is missing or wrong, or it is a key that has ended."""


class Forbidden(Refused):
    """The key lacks the scope that the request needs, which the message names."""


class NotFound(Refused):
    """There is no such job, batch or file, or it has expired."""


class AlreadyFinished(Refused):
    """The job ended by itself and can no longer be cancelled."""


class QueueFull(Refused):
    """The queue is full."""


class RateLimited(Refused):
    """The tenant sends too many requests per second."""


class QuotaExceeded(Refused):
    """The tenant has too many open jobs, or has used its CPU time of the day."""


class StorageFull(Refused):
    """The stored files together have reached the service's bound."""


class JobFailed(CellblockError):
    """The job ended without a result.

    outcome: what it left, and the details of the failure.
    job: the job; None if the response has only an error.
    """

    outcome: Outcome | None = None
    job: Job | None = None

    @property
    def stdout(self) -> str:
        """The script's standard output up to the failure."""
        return self.outcome.stdout if self.outcome else ""

    @property
    def stderr(self) -> str:
        """The script's standard error up to the failure."""
        return self.outcome.stderr if self.outcome else ""

    @property
    def traceback(self) -> str | None:
        """The script's traceback, if it raised an exception."""
        return self.outcome.traceback if self.outcome else None

    @property
    def limit(self) -> Limit | None:
        """The limit that the script reached."""
        return self.outcome.limit if self.outcome else None

    def _sentence(self) -> str:
        """The message, the place in the result, and a hint."""
        if self.outcome is None:
            return self.message
        more = f": {self.outcome.detail}" if self.outcome.detail else ""
        hint = f"; {self.outcome.hint}" if self.outcome.hint else ""
        return self.message + more + hint


class InvalidScript(JobFailed):
    """The script is not Python, or has no `main` that accepts the arguments."""


class ScriptRaised(JobFailed):
    """The script raised an exception; see `traceback`."""


class ScriptExited(JobFailed):
    """The script called `sys.exit` or `os._exit`."""


class NotSerializable(JobFailed):
    """`main()` did not return JSON; `outcome.detail` has the place."""


class LimitExceeded(JobFailed):
    """The script reached a limit; see `limit`."""


class TimedOut(LimitExceeded):
    """The script did not end within its wall time limit."""


class Killed(JobFailed):
    """A signal ended the script; `outcome.signal` names it."""


class Cancelled(JobFailed):
    """The job was cancelled."""


class WorkerLost(JobFailed):
    """The worker died while it ran the job."""


class NotStarted(JobFailed):
    """The job did not start in time and was withdrawn; it did not run."""


CODES: dict[str, type[CellblockError]] = {
    "invalid_request": InvalidRequest,
    "unknown_environment": InvalidRequest,
    "missing_packages": InvalidRequest,
    "missing_main": InvalidScript,
    "syntax_error": InvalidScript,
    "args_mismatch": InvalidScript,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "cross_origin": InvalidRequest,
    "host_not_allowed": InvalidRequest,
    "not_found": NotFound,
    "method_not_allowed": InvalidRequest,
    "cancelled": Cancelled,
    "already_finished": AlreadyFinished,
    "script_too_large": TooLarge,
    "input_too_large": TooLarge,
    "unsupported_media_type": InvalidRequest,
    "precondition_failed": InvalidRequest,
    "range_not_satisfiable": InvalidRequest,
    "not_serializable": NotSerializable,
    "exception": ScriptRaised,
    "exit": ScriptExited,
    "timeout": TimedOut,
    "cpu_limit": LimitExceeded,
    "memory_limit": LimitExceeded,
    "process_limit": LimitExceeded,
    "result_too_large": LimitExceeded,
    "files_too_large": LimitExceeded,
    "killed": Killed,
    "idempotency_mismatch": IdempotencyMismatch,
    "queue_full": QueueFull,
    "rate_limited": RateLimited,
    "quota_exceeded": QuotaExceeded,
    "worker_lost": WorkerLost,
    "internal": ServiceFault,
    "unavailable": Unavailable,
    "not_started": NotStarted,
    "file_not_found": NotFound,
    "storage_full": StorageFull,
}

_STATUSES: dict[int, type[CellblockError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    413: TooLarge,
    429: QueueFull,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_class(code: str, status: int, *, ended: bool) -> type[CellblockError]:
    """Return the exception class for a code, or for the status if the code is unknown.

    ended: whether the response is about a job that has ended.
    """
    if code in CODES:
        return CODES[code]
    if status in _STATUSES:
        return _STATUSES[status]
    if ended:
        return JobFailed
    if status >= 500:
        return ServiceFault
    return Refused if status >= 400 else UnexpectedResponse


def error_of_job(job: Job) -> JobFailed:
    """Make the exception for a job that ended without a result."""
    found = CODES.get(job.code or "", JobFailed)
    failed = found if issubclass(found, JobFailed) else JobFailed
    message = job.error or f"the job {job.status}"
    error = failed(message, code=job.code, job_id=job.job_id)
    error.outcome = error.job = job
    return error
