"""What goes wrong, as exceptions: one table from the contract's codes to classes.

CellblockError
  Unreachable          no answer came, in as many attempts as were allowed
  UnexpectedAnswer     what came is not in the contract
  NotEnded             you waited no longer; the job or batch goes on
  ClientClosed         the client was closed before or during the call
  Unavailable          `unavailable`
  ServiceFault         `internal`
  Refused              nothing was accepted or done
    InvalidRequest     `invalid_request`, `method_not_allowed`,
                       `unsupported_media_type`, `precondition_failed`,
                       `range_not_satisfiable`
    TooLarge           `script_too_large`, `input_too_large`
    IdempotencyMismatch, Unauthorized, NotFound, AlreadyFinished, QueueFull
  JobFailed            the job has ended, without a result
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
    """Whatever this package raises, but for arguments that make no request.

    message: a sentence for people.
    code: the contract's code for programs; None if the service said none.
    status: the answer's HTTP status; None without one.
    job_id: the job that it is about; None without one.
    retry_after: seconds after which the service asks to try again; None if it
        did not say.
    request_id: what the service's logs know the request by.
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
    """No answer came, in as many attempts as were allowed."""


class UnexpectedAnswer(CellblockError):
    """What came is not in the contract: a proxy's page, say."""


class NotEnded(CellblockError):
    """The time to wait is over; the job or batch goes on."""


class ClientClosed(CellblockError):
    """The client was closed before or during the call; make a new one."""


class Unavailable(CellblockError):
    """The service cannot take jobs now; none was accepted, or it was withdrawn."""


class ServiceFault(CellblockError):
    """The service's own fault; its logs know why, under `request_id`."""


class Refused(CellblockError):
    """The request was refused; nothing was accepted or done."""


class InvalidRequest(Refused):
    """The request is malformed."""


class TooLarge(Refused):
    """The script or an input is over its bound."""


class IdempotencyMismatch(Refused):
    """The idempotency key was used with another request."""


class Unauthorized(Refused):
    """The token is missing or wrong."""


class NotFound(Refused):
    """There is no such job, batch or file, or it has expired."""


class AlreadyFinished(Refused):
    """The job has ended by itself and cannot be cancelled."""


class QueueFull(Refused):
    """The queue is full."""


class JobFailed(CellblockError):
    """The job has ended, without a result.

    outcome: what it left, and all that is known of the failure.
    job: the job; None if the answer has no more than an error.
    """

    outcome: Outcome | None = None
    job: Job | None = None

    @property
    def stdout(self) -> str:
        """What the script printed until then."""
        return self.outcome.stdout if self.outcome else ""

    @property
    def stderr(self) -> str:
        """What it wrote to standard error."""
        return self.outcome.stderr if self.outcome else ""

    @property
    def traceback(self) -> str | None:
        """The script's own traceback, of an exception."""
        return self.outcome.traceback if self.outcome else None

    @property
    def limit(self) -> Limit | None:
        """The limit that was met."""
        return self.outcome.limit if self.outcome else None

    def _sentence(self) -> str:
        """The message, with where in the result it is, and what probably helps."""
        if self.outcome is None:
            return self.message
        more = f": {self.outcome.detail}" if self.outcome.detail else ""
        hint = f"; {self.outcome.hint}" if self.outcome.hint else ""
        return self.message + more + hint


class InvalidScript(JobFailed):
    """The script is no program with a `main` that takes the arguments."""


class ScriptRaised(JobFailed):
    """The script raised an exception; see `traceback`."""


class ScriptExited(JobFailed):
    """The script called `sys.exit` or `os._exit`."""


class NotSerializable(JobFailed):
    """What `main()` returned is no JSON; `outcome.detail` says where."""


class LimitExceeded(JobFailed):
    """The script met a limit; see `limit`."""


class TimedOut(LimitExceeded):
    """The script did not end within its wall time."""


class Killed(JobFailed):
    """A signal ended the script; `outcome.signal` names it."""


class Cancelled(JobFailed):
    """The job was cancelled."""


class WorkerLost(JobFailed):
    """The worker died under the job."""


class NotStarted(JobFailed):
    """Nobody could start the job in time; it did not run."""


CODES: dict[str, type[CellblockError]] = {
    "invalid_request": InvalidRequest,
    "missing_main": InvalidScript,
    "syntax_error": InvalidScript,
    "args_mismatch": InvalidScript,
    "unauthorized": Unauthorized,
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
    "worker_lost": WorkerLost,
    "internal": ServiceFault,
    "unavailable": Unavailable,
    "not_started": NotStarted,
}

_STATUSES: dict[int, type[CellblockError]] = {
    401: Unauthorized,
    404: NotFound,
    413: TooLarge,
    429: QueueFull,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def class_of(code: str, status: int, *, ended: bool) -> type[CellblockError]:
    """The class for an answer's code, or, of one that is not known, its status.

    ended says that the answer is about a job, which has then ended.
    """
    if code in CODES:
        return CODES[code]
    if status in _STATUSES:
        return _STATUSES[status]
    if ended:
        return JobFailed
    if status >= 500:
        return ServiceFault
    return Refused if status >= 400 else UnexpectedAnswer


def of_job(job: Job) -> JobFailed:
    """The exception for a job that ended without a result."""
    found = CODES.get(job.code or "", JobFailed)
    failed = found if issubclass(found, JobFailed) else JobFailed
    message = job.error or f"the job {job.status}"
    error = failed(message, code=job.code, job_id=job.job_id)
    error.outcome = error.job = job
    return error
