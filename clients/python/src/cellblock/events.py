"""What happens to a job that is watched.

`id` says where an event stands: `watch(job_id, after=id)` goes on behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .models import Job, JobStatus


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a watched job stands that has not ended, at first and when that changes."""

    job_id: str
    status: JobStatus
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a watched script printed since the last one, to `stream`."""

    stream: Literal["stdout", "stderr"]
    text: str
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of a watched job; the last event."""

    job: Job
    id: str = ""


Event = State | Output | End
