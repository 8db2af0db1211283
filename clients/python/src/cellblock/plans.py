"""The methods of both clients, as one plan each.

The first argument of each plan is the client's `Retries`, which the clients pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from . import requests, streams
from .answers import Answer
from .decoding import read
from .errors import NotEnded
from .events import Event
from .models import (
    Accepted,
    Batch,
    BatchAccepted,
    BatchResult,
    ExecuteResult,
    Health,
    Job,
    JobList,
    JobStatus,
    JobSummary,
    Ready,
)
from .options import JobRequest, Options, Script
from .requests import Request
from .retries import Retries
from .steps import Emit, Flow, Pause, Plan, exchange, work

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

_ONCE = Retries(attempts=1)


def run(
    retries: Retries,
    /,
    script: Script,
    *,
    timeout: float | None = None,
    inline_files: bool = False,
    idempotency_key: str | None = None,
    **options: Unpack[Options],
) -> Plan[ExecuteResult]:
    """Run a script, wait for its end, and return its result.

    script is the source, or the Path of a file with it; `Options` has the other
    arguments of a job. timeout is the number of seconds to wait in all; None waits
    until the end. inline_files includes the content of small files in the response.
    With idempotency_key, calls with the same arguments share one job; without it, each
    call creates a job.

    Raises `JobFailed` if the job ended without a result; `NotEnded`, with `job_id`, on
    timeout: the job continues.
    """
    until = None if timeout is None else time.monotonic() + timeout
    request = yield from work(
        lambda: requests.execute(
            JobRequest(script=script, **options),
            key=idempotency_key,
            wait=timeout,
            inline_files=inline_files,
        )
    )
    answer = yield from exchange(request, retries, good=(200, 202))
    if answer.status == 200:
        return read(ExecuteResult, answer.body)
    job_id = read(Accepted, answer.body).job_id
    left = None if until is None else until - time.monotonic()
    job = yield from wait(retries, job_id, timeout=left, inline_files=inline_files)
    return job.to_result()


def submit(
    retries: Retries,
    /,
    script: Script,
    *,
    idempotency_key: str | None = None,
    **options: Unpack[Options],
) -> Plan[Accepted]:
    """Submit a script and return the job's id at once. The arguments are `run`'s."""
    request = yield from work(
        lambda: requests.execute(
            JobRequest(script=script, **options),
            key=idempotency_key,
            respond_async=True,
        )
    )
    answer = yield from exchange(request, retries, good=(202,))
    return read(Accepted, answer.body)


def get(
    retries: Retries, /, job_id: str, *, wait: float = 0, inline_files: bool = False
) -> Plan[Job]:
    """Return the current state of a job, also of one that failed.

    wait is for how many seconds, at most 30, the service may wait for the job's end.
    """
    request = requests.read_job(job_id, wait=wait, inline_files=inline_files)
    answer = yield from exchange(request, retries)
    return read(Job, answer.body)


def wait(
    retries: Retries,
    /,
    job_id: str,
    *,
    timeout: float | None = None,
    inline_files: bool = False,
) -> Plan[Job]:
    """Wait for a job's end and return the job, however it ended.

    timeout is in seconds; None waits until the end. Raises `NotEnded` on timeout.
    `Job.raise_for_failure` raises the exceptions of `run`.
    """
    answer = yield from _held(
        retries,
        lambda hold: requests.read_job(job_id, wait=hold, inline_files=inline_files),
        lambda answer: read(Job, answer.body).ended,
        timeout,
    )
    job = read(Job, answer.body)
    if not job.ended:
        message = f"the job is {job.status} and goes on; it was waited for no longer"
        raise NotEnded(message, job_id=job_id)
    return job


def list_jobs(
    retries: Retries,
    /,
    *,
    status: JobStatus | None = None,
    page_size: int | None = None,
) -> Flow[JobSummary, None]:
    """Iterate over the jobs, newest first, with one status or with any.

    page_size is the number of jobs per request, from 1 to 200.
    """
    cursor = None
    while True:
        request = requests.list_jobs(status, page_size, cursor)
        answer = yield from exchange(request, retries)
        page = read(JobList, answer.body)
        for job in page.jobs:
            yield Emit(job)
        cursor = page.next_cursor
        if cursor is None:
            return


def cancel(retries: Retries, /, job_id: str) -> Plan[Job | Accepted]:
    """Cancel a job.

    Returns the cancelled job, or `Accepted` for a running job that is being killed;
    `wait` returns once it has ended. Raises `AlreadyFinished` if it ended by itself.
    """
    request = requests.delete("jobs", job_id)
    answer = yield from exchange(request, retries, good=(200, 202))
    if answer.status == 200:
        return read(Job, answer.body)
    return read(Accepted, answer.body)


def watch(retries: Retries, /, job_id: str, *, after: str = "") -> Flow[Event, None]:
    """Watch a job: iterate over its output and status changes as they happen.

    It starts with the first event, or behind the event whose id is after. The last
    event is `End`; if after is its id, nothing follows. It reconnects if the connection
    is lost, without losing or repeating an event.
    """
    yield from streams.follow(streams.EventReader(job_id, after), retries.patient())


def file(retries: Retries, /, job_id: str, name: str) -> Plan[bytes]:
    """Return the content of a file that a job left, by its `OutputFile.name`."""
    answer = yield from exchange(requests.read_file(job_id, name), retries)
    return answer.body


def stream_file(retries: Retries, /, job_id: str, name: str) -> Flow[bytes, None]:
    """Read a file that a job left in chunks."""
    yield from streams.download(requests.read_file(job_id, name), retries)


def submit_batch(
    retries: Retries,
    /,
    jobs: Iterable[JobRequest],
    *,
    idempotency_key: str | None = None,
) -> Plan[BatchAccepted]:
    """Submit 1 to 1,000 jobs in one request; `members` has the outcome of each."""
    listed = tuple(jobs)  # here, not in the thread that reads their files
    request = yield from work(
        lambda: requests.create_batch(listed, key=idempotency_key)
    )
    answer = yield from exchange(request, retries, good=(202,))
    return read(BatchAccepted, answer.body)


def get_batch(retries: Retries, /, batch_id: str, *, wait: float = 0) -> Plan[Batch]:
    """Return the current state of a batch. wait is `get`'s."""
    request = requests.read_batch(batch_id, wait=wait)
    answer = yield from exchange(request, retries)
    return read(Batch, answer.body)


def wait_batch(
    retries: Retries, /, batch_id: str, *, timeout: float | None = None
) -> Plan[Batch]:
    """Wait until every job of a batch has ended. timeout is `wait`'s."""
    answer = yield from _held(
        retries,
        lambda hold: requests.read_batch(batch_id, wait=hold),
        lambda answer: read(Batch, answer.body).status == "ended",
        timeout,
    )
    batch = read(Batch, answer.body)
    if batch.status != "ended":
        raise NotEnded("the batch goes on; it was waited for no longer")
    return batch


def batch_results(
    retries: Retries, /, batch_id: str, *, after: int = 0, follow: bool = True
) -> Flow[BatchResult, None]:
    """Iterate over the results of a batch, in the order in which its jobs end.

    after is the number of results to skip. follow waits for jobs that have not ended.
    It reconnects if the connection is lost.
    """
    reader = streams.ResultReader(batch_id, after, wait=follow)
    yield from streams.follow(reader, retries.patient())


def cancel_batch(retries: Retries, /, batch_id: str) -> Plan[Batch]:
    """Cancel every job of a batch that has not ended; running ones end soon after."""
    request = requests.delete("batches", batch_id)
    answer = yield from exchange(request, retries, good=(200, 202))
    return read(Batch, answer.body)


def ready(_: Retries, /) -> Plan[Ready]:
    """Check once whether the service accepts jobs; `Unavailable` if not."""
    answer = yield from exchange(Request("GET", "/readyz"), _ONCE)
    return read(Ready, answer.body)


def health(_: Retries, /) -> Plan[Health]:
    """Check once whether the process is alive."""
    answer = yield from exchange(Request("GET", "/healthz"), _ONCE)
    return read(Health, answer.body)


def metrics(retries: Retries, /) -> Plan[str]:
    """Return the service's metrics in the Prometheus text format."""
    answer = yield from exchange(Request("GET", "/metrics"), retries)
    return answer.body.decode()


def _held(
    retries: Retries,
    request: Callable[[float], Request],
    ended: Callable[[Answer], bool],
    timeout: float | None,
) -> Plan[Answer]:
    """Ask repeatedly until ended(answer) is true or the time is over.

    Returns the last response. request(seconds) makes a request that the service may
    hold for that long.
    """
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        asked = time.monotonic()
        left = requests.MOST_HOLD if until is None else max(0.0, until - asked)
        hold = min(left, requests.MOST_HOLD)
        answer = yield from exchange(request(hold), retries.patient())
        now = time.monotonic()
        if ended(answer) or (until is not None and now >= until):
            return answer
        early = hold - (now - asked)
        if early > 0:  # the response was not held: do not poll in a tight loop
            yield Pause(min(early, answer.retry_after or 1.0))
