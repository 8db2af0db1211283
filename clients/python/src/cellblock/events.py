"""The events of a watched job.

`watch(job_id, after=id)` resumes behind the event with that `id`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .models import Job, JobStatus


@dataclass(frozen=True, kw_only=True)
class State:
    """The status of a job that has not ended: first, and on every change."""

    job_id: str
    status: JobStatus
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Output of the script since the previous event, to `stream`."""

    stream: Literal["stdout", "stderr"]
    text: str
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of the job; the last event."""

    job: Job
    id: str = ""


Event = State | Output | End
