"""The methods of both clients, as one plan each.

The first argument of each plan is the client's `Retries`, which the clients pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from . import requests, streams
from .decoding import read
from .errors import NotEnded
from .events import Event
from .models import (
    Accepted,
    Activity,
    Batch,
    BatchAccepted,
    BatchResult,
    Environment,
    EnvironmentList,
    ExecuteResult,
    Health,
    Job,
    JobList,
    JobSummary,
    Ready,
    StoredFile,
    UsageReport,
    WebhookSecret,
    Worker,
    WorkerList,
)
from .options import Content, JobRequest, ListQuery, Options, Script
from .requests import Request
from .responses import Response
from .retries import Retries
from .steps import Flow, Pause, Plan, Yield, call_blocking, send_with_retries

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
    deadline = None if timeout is None else time.monotonic() + timeout
    request = yield from call_blocking(
        lambda: requests.execute(
            JobRequest(script=script, **options),
            key=idempotency_key,
            wait=timeout,
            inline_files=inline_files,
        )
    )
    response = yield from send_with_retries(request, retries, expected=(200, 202))
    if response.status == 200:
        return read(ExecuteResult, response.body)
    job_id = read(Accepted, response.body).job_id
    time_left = None if deadline is None else deadline - time.monotonic()
    job = yield from wait(retries, job_id, timeout=time_left, inline_files=inline_files)
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
    request = yield from call_blocking(
        lambda: requests.execute(
            JobRequest(script=script, **options),
            key=idempotency_key,
            respond_async=True,
        )
    )
    response = yield from send_with_retries(request, retries, expected=(202,))
    return read(Accepted, response.body)


def get(
    retries: Retries, /, job_id: str, *, wait: float = 0, inline_files: bool = False
) -> Plan[Job]:
    """Return the current state of a job, also of one that failed.

    wait is for how many seconds, at most 30, the service may wait for the job's end.
    """
    request = requests.read_job(job_id, wait=wait, inline_files=inline_files)
    response = yield from send_with_retries(request, retries)
    return read(Job, response.body)


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
    response = yield from _poll(
        retries,
        lambda wait_seconds: requests.read_job(
            job_id, wait=wait_seconds, inline_files=inline_files
        ),
        lambda response: read(Job, response.body).ended,
        timeout,
    )
    job = read(Job, response.body)
    if not job.ended:
        message = f"the job is {job.status} and goes on; it was waited for no longer"
        raise NotEnded(message, job_id=job_id)
    return job


def list_jobs(
    retries: Retries,
    /,
    *,
    page_size: int | None = None,
    **query: Unpack[ListQuery],
) -> Flow[JobSummary, None]:
    """Iterate over the jobs that match the whole query, newest first.

    page_size is the number of jobs per request, from 1 to 200. See `ListQuery`.
    """
    cursor = None
    while True:
        request = requests.list_jobs(query, page_size, cursor)
        response = yield from send_with_retries(request, retries)
        page = read(JobList, response.body)
        for job in page.jobs:
            yield Yield(job)
        cursor = page.next_cursor
        if cursor is None:
            return


def cancel(retries: Retries, /, job_id: str) -> Plan[Job | Accepted]:
    """Cancel a job.

    Returns the cancelled job, or `Accepted` for a running job that is being killed;
    `wait` returns once it has ended. Raises `AlreadyFinished` if it ended by itself.
    """
    request = requests.delete("jobs", job_id)
    response = yield from send_with_retries(request, retries, expected=(200, 202))
    if response.status == 200:
        return read(Job, response.body)
    return read(Accepted, response.body)


def watch(retries: Retries, /, job_id: str, *, after: str = "") -> Flow[Event, None]:
    """Watch a job: iterate over its output and status changes as they happen.

    It starts with the first event, or behind the event whose id is after. The last
    event is `End`; if after is its id, nothing follows. It reconnects if the connection
    is lost, without losing or repeating an event.
    """
    yield from streams.follow(streams.EventReader(job_id, after), retries.patient())


def file(retries: Retries, /, job_id: str, name: str) -> Plan[bytes]:
    """Return the content of a file that a job left, by its `OutputFile.name`."""
    response = yield from send_with_retries(requests.read_file(job_id, name), retries)
    return response.body


def stream_file(retries: Retries, /, job_id: str, name: str) -> Flow[bytes, None]:
    """Read a file that a job left in chunks."""
    yield from streams.download(requests.read_file(job_id, name), retries)


def upload_file(
    retries: Retries,
    /,
    content: Content,
    *,
    name: str | None = None,
    media_type: str | None = None,
) -> Plan[StoredFile]:
    """Store a file of at most 16 MiB for later jobs, which name it by `StoredFile.ref`.

    name and media_type are those of downloads; by default the name is that of a Path,
    and the name decides the type. Raises `StorageFull` if the stored files together
    have reached the service's bound.
    """
    request = yield from call_blocking(
        lambda: requests.upload_file(content, name, media_type)
    )
    response = yield from send_with_retries(request, retries, expected=(201,))
    return read(StoredFile, response.body)


def download_file(retries: Retries, /, file_id: str) -> Plan[bytes]:
    """Return the content of a stored file."""
    response = yield from send_with_retries(requests.download_file(file_id), retries)
    return response.body


def delete_file(retries: Retries, /, file_id: str) -> Plan[None]:
    """Delete a stored file. Jobs that were accepted with it keep their copy."""
    request = requests.delete("files", file_id)
    yield from send_with_retries(request, retries, expected=(204,))


def submit_batch(
    retries: Retries,
    /,
    jobs: Iterable[JobRequest],
    *,
    idempotency_key: str | None = None,
) -> Plan[BatchAccepted]:
    """Submit 1 to 1,000 jobs in one request; `members` has the outcome of each."""
    listed = tuple(jobs)  # here, not in the thread that reads their files
    request = yield from call_blocking(
        lambda: requests.create_batch(listed, key=idempotency_key)
    )
    response = yield from send_with_retries(request, retries, expected=(202,))
    return read(BatchAccepted, response.body)


def get_batch(retries: Retries, /, batch_id: str, *, wait: float = 0) -> Plan[Batch]:
    """Return the current state of a batch. wait is `get`'s."""
    request = requests.read_batch(batch_id, wait=wait)
    response = yield from send_with_retries(request, retries)
    return read(Batch, response.body)


def wait_batch(
    retries: Retries, /, batch_id: str, *, timeout: float | None = None
) -> Plan[Batch]:
    """Wait until every job of a batch has ended. timeout is `wait`'s."""
    response = yield from _poll(
        retries,
        lambda wait_seconds: requests.read_batch(batch_id, wait=wait_seconds),
        lambda response: read(Batch, response.body).status == "ended",
        timeout,
    )
    batch = read(Batch, response.body)
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
    response = yield from send_with_retries(request, retries, expected=(200, 202))
    return read(Batch, response.body)


def environments(retries: Retries, /) -> Plan[tuple[Environment, ...]]:
    """List the environments that scripts can run in, the default first."""
    response = yield from send_with_retries(Request("GET", "/environments"), retries)
    return read(EnvironmentList, response.body).environments


def usage(
    retries: Retries,
    /,
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    tenant: str | None = None,
    by_label: bool = False,
) -> Plan[UsageReport]:
    """Return what jobs have used on each day, of UTC.

    Both days count. last_day is today by default, and first_day six days before it; a
    range has at most 92 days. tenant is for the token of an administrator, who
    otherwise reads the usage of all tenants. by_label splits days by the values of the
    label that the service's setting USAGE_LABEL names.
    """
    by = "label" if by_label else None
    request = requests.read_usage(first_day, last_day, tenant, by)
    response = yield from send_with_retries(request, retries)
    return read(UsageReport, response.body)


def activity(retries: Retries, /, *, tenant: str | None = None) -> Plan[Activity]:
    """Return how many jobs wait, run, and ended in each minute of the last hour.

    tenant is for the token of an administrator, who otherwise reads the activity of all
    tenants together.
    """
    response = yield from send_with_retries(requests.read_activity(tenant), retries)
    return read(Activity, response.body)


def workers(retries: Retries, /) -> Plan[tuple[Worker, ...]]:
    """List the live workers, for administrators."""
    response = yield from send_with_retries(Request("GET", "/workers"), retries)
    return read(WorkerList, response.body).workers


def webhook_secret(
    retries: Retries, /, tenant: str, *, generation: int | None = None
) -> Plan[WebhookSecret]:
    """Return the signing secret of a tenant's webhooks, for administrators.

    By default it is that of the current generation.
    """
    request = requests.read_webhook_secret(tenant, generation)
    response = yield from send_with_retries(request, retries)
    return read(WebhookSecret, response.body)


def ready(_: Retries, /) -> Plan[Ready]:
    """Check once whether the service accepts jobs; `Unavailable` if not."""
    response = yield from send_with_retries(Request("GET", "/readyz"), _ONCE)
    return read(Ready, response.body)


def health(_: Retries, /) -> Plan[Health]:
    """Check once whether the process is alive."""
    response = yield from send_with_retries(Request("GET", "/healthz"), _ONCE)
    return read(Health, response.body)


def metrics(retries: Retries, /) -> Plan[str]:
    """Return the service's metrics in the Prometheus text format."""
    response = yield from send_with_retries(Request("GET", "/metrics"), retries)
    return response.body.decode()


def _poll(
    retries: Retries,
    request: Callable[[float], Request],
    ended: Callable[[Response], bool],
    timeout: float | None,
) -> Plan[Response]:
    """Send the request until ended(response) is true or the timeout is over.

    Returns the last response. request(seconds) makes a request that the service may
    hold for that long.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        started = time.monotonic()
        time_left = (
            requests.MAX_HOLD if deadline is None else max(0.0, deadline - started)
        )
        wait_seconds = min(time_left, requests.MAX_HOLD)
        response = yield from send_with_retries(
            request(wait_seconds), retries.patient()
        )
        now = time.monotonic()
        if ended(response) or (deadline is not None and now >= deadline):
            return response
        too_early_by = wait_seconds - (now - started)
        if too_early_by > 0:  # the response was not held: do not poll in a tight loop
            yield Pause(min(too_early_by, response.retry_after or 1.0))
