"""What a job may be given beside its script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

Script = str | Path
"""The source itself, or the file that holds it."""

Content = bytes | str | Path
"""What a file holds: bytes, text that is written as UTF-8, or a file to read."""


class Limits(TypedDict, total=False):
    """Lower limits for a job than the service's own; more is refused by name."""

    wall_seconds: float
    cpu_seconds: float
    memory_mb: float
    processes: int
    output_bytes: int


class Options(TypedDict, total=False):
    """What a job may be given; None counts as not given.

    args: main()'s keyword arguments.
    stdin: what the script reads from its standard input.
    env: environment variables.
    files: path in the working directory -> content; at most 64, together 16 MiB.
    limits: see Limits.
    priority: which queue it waits in.
    callback_url: where its end is posted to.
    start_within: seconds from its acceptance after which it is not started any more.
    """

    args: Mapping[str, Any] | None
    stdin: str | None
    env: Mapping[str, str] | None
    files: Mapping[str, Content] | None
    limits: Limits | None
    priority: Literal["high", "default", "low"] | None
    callback_url: str | None
    start_within: float | None


class JobRequest(Options):
    """One job of a batch."""

    script: Script
