"""The options of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypedDict

Script = str | Path
"""The source itself, or the file that holds it."""

Content = bytes | str | Path
"""What a file holds: bytes, text that is written as UTF-8, or a file to read."""


@dataclass(frozen=True, kw_only=True)
class FileRef:
    """A file that the service has already, in place of a file's content.

    Either one that an earlier job left: job_id, and name, which is its
    `OutputFile.name`. Or one that was uploaded: file_id, or `StoredFile.ref`.
    """

    job_id: str | None = None
    name: str | None = None
    file_id: str | None = None

    def __post_init__(self) -> None:
        """Check that it refers to one file."""
        of_job = self.job_id is not None and self.name is not None
        none_of_job = self.job_id is None and self.name is None
        if not (of_job if self.file_id is None else none_of_job):
            raise ValueError("a FileRef needs job_id and name, or file_id")

    def fields(self) -> dict[str, str]:
        """Return the fields of the request."""
        if self.file_id is not None:
            return {"file_id": self.file_id}
        return {"job_id": str(self.job_id), "name": str(self.name)}


class Limits(TypedDict, total=False):
    """Limits below the service's own; higher ones are refused by name."""

    wall_seconds: float
    cpu_seconds: float
    memory_mb: float
    processes: int
    output_bytes: int


class Options(TypedDict, total=False):
    """The options of a job beside its script; None is the default of each.

    entry: how the script is run: "main" calls its main(), "script" runs it as a
        program, "cell" as a cell of a notebook.
    args: main()'s keyword arguments; with "script" a list of strings (sys.argv[1:]).
    stdin: the script's standard input.
    env: environment variables.
    files: path in the working directory -> content, or the FileRef of a file that the
        service has already; at most 64, together 16 MiB.
    limits: see Limits.
    priority: the queue in which the job waits.
    callback_url: the URL to which the ended job is posted.
    environment: the name of the environment that runs the script; see
        `Client.environments`.
    start_within: seconds from its acceptance, after which the job no longer starts.
    labels: for finding the job with `Client.list`, by Kubernetes' rules for labels.
    """

    entry: Literal["main", "script", "cell"] | None
    args: Mapping[str, Any] | Sequence[str] | None
    stdin: str | None
    env: Mapping[str, str] | None
    files: Mapping[str, Content | FileRef] | None
    limits: Limits | None
    priority: Literal["high", "default", "low"] | None
    callback_url: str | None
    environment: str | None
    start_within: float | None
    labels: Mapping[str, str] | None


class JobRequest(Options):
    """One job of a batch."""

    script: Script


class ListQuery(TypedDict, total=False):
    """What `Client.list` selects; None of each selects all jobs.

    status: the jobs with this status.
    tenant: those of this tenant, for a token that may read those of others.
    code: those that failed or were cancelled with this code.
    environment: those with this environment; "default" is that of jobs that show none.
    labels: those that have all of these labels.
    since, until: those that were accepted at since or later, and before until: times
        (without a time zone in the local one), or how long ago.
    """

    status: Literal["queued", "running", "succeeded", "failed", "cancelled"] | None
    tenant: str | None
    code: str | None
    environment: str | None
    labels: Mapping[str, str] | None
    since: datetime | timedelta | None
    until: datetime | timedelta | None
