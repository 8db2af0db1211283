"""Requests as plain data, without I/O over the network."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from .options import Content, FileRef, JobRequest, ListQuery, Script

FORM_THRESHOLD = 1 << 20
"""From this many bytes of files on, a request is a form: base64 costs a third."""

# The service holds `run` for 15 seconds, and 1.5 more.
RUN_HOLD = 16.5

MAX_HOLD = 30.0
"""Seconds for which the service holds a response at most."""

# The seconds between two heartbeats on a stream.
_HEARTBEAT = 15.0

# Characters that a form's file name cannot have; the service refuses most of them.
_NOT_IN_FORMS = re.compile(r'["\\\x00-\x1f\x7f]')

_JSON_FIELDS = ("args", "env", "labels", "limits", "start_within")
_TEXT_FIELDS = ("entry", "stdin", "priority", "callback_url", "environment")


@dataclass(frozen=True)
class Request:
    """A request. hold is the number of seconds for which the service may wait."""

    method: str
    path: str
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    hold: float = 0.0


def execute(
    job: JobRequest,
    *,
    key: str | None,
    respond_async: bool = False,
    wait: float | None = None,
    inline_files: bool = False,
) -> Request:
    """Make `POST /execute`. Reads the files that the job names.

    key is the idempotency key; None generates one. wait is how many seconds the service
    may wait for the job's end; None is the service's default.
    """
    headers = {"Idempotency-Key": _key(key)}
    if respond_async:
        headers["Prefer"] = "respond-async"
    elif wait is not None and wait < RUN_HOLD:
        headers["Prefer"] = f"wait={max(0, int(wait))}"
    files = _files(job)
    in_form = sum(map(len, _contents(files).values())) >= FORM_THRESHOLD
    if in_form and not any(map(_NOT_IN_FORMS.search, files)):
        headers["Content-Type"], content = _form(job, files)
    else:
        headers["Content-Type"] = "application/json"
        content = _encode(_fields(job, files))
    return Request(
        "POST",
        "/execute",
        params={"inline_files": "true"} if inline_files else {},
        headers=headers,
        content=content,
        hold=0 if respond_async else RUN_HOLD,
    )


def create_batch(jobs: Iterable[JobRequest], *, key: str | None) -> Request:
    """Make `POST /batches`. Reads the files that the jobs name."""
    lines = [_encode(_fields(job, _files(job))) + b"\n" for job in jobs]
    headers = {
        "Idempotency-Key": _key(key),
        "Content-Type": "application/x-ndjson",
    }
    return Request("POST", "/batches", headers=headers, content=b"".join(lines))


def read_job(job_id: str, *, wait: float = 0, inline_files: bool = False) -> Request:
    """Make `GET /jobs/{id}`, held until the job ends."""
    request = _long_poll(f"/jobs/{_path_segment(job_id)}", wait)
    if not inline_files:
        return request
    params = {**request.params, "inline_files": "true"}
    return Request("GET", request.path, params=params, hold=request.hold)


def read_batch(batch_id: str, *, wait: float = 0) -> Request:
    """Make `GET /batches/{id}`, held until the batch ends."""
    return _long_poll(f"/batches/{_path_segment(batch_id)}", wait)


def list_jobs(query: ListQuery, limit: int | None, cursor: str | None) -> Request:
    """Make `GET /jobs`, for one page."""
    single = {
        "status": query.get("status"),
        "tenant": query.get("tenant"),
        "code": query.get("code"),
        "environment": query.get("environment"),
        "since": _time(query.get("since")),
        "until": _time(query.get("until")),
        "limit": limit,
        "cursor": cursor,
    }
    params: dict[str, str | Sequence[str]] = {
        name: str(value) for name, value in single.items() if value is not None
    }
    if labels := query.get("labels"):
        params["label"] = [f"{key}:{value}" for key, value in labels.items()]
    return Request("GET", "/jobs", params=params)


def _time(value: datetime | timedelta | None) -> str | None:
    """Return a time of the service's clock; a timedelta is back from now."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}s"
    if value is None:
        return None
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def read_usage(
    first_day: date | None, last_day: date | None, tenant: str | None, by: str | None
) -> Request:
    """Make `GET /usage`."""
    params = {"from": first_day, "to": last_day, "tenant": tenant, "by": by}
    present = {name: str(value) for name, value in params.items() if value is not None}
    return Request("GET", "/usage", params=present)


def read_activity(tenant: str | None) -> Request:
    """Make `GET /activity`."""
    return Request("GET", "/activity", params={"tenant": tenant} if tenant else {})


def read_webhook_secret(tenant: str, generation: int | None) -> Request:
    """Make `GET /admin/tenants/{tenant}/webhook-secret`."""
    path = f"/admin/tenants/{_path_segment(tenant)}/webhook-secret"
    params = {} if generation is None else {"generation": str(generation)}
    return Request("GET", path, params=params)


def delete(kind: str, name: str) -> Request:
    """Make the `DELETE` of a job, a batch or a stored file."""
    return Request("DELETE", f"/{kind}/{_path_segment(name)}")


def read_file(job_id: str, name: str) -> Request:
    """Make `GET /jobs/{id}/files/{path}`."""
    return Request(
        "GET", f"/jobs/{_path_segment(job_id)}/files/{quote(name, safe='/')}"
    )


def upload_file(content: Content, name: str | None, media_type: str | None) -> Request:
    """Make `POST /files`. Reads the file."""
    if name is None and isinstance(content, Path):
        name = content.name
    return Request(
        "POST",
        "/files",
        params={} if name is None else {"name": name},
        headers={} if media_type is None else {"Content-Type": media_type},
        content=_content(content),
    )


def download_file(file_id: str) -> Request:
    """Make `GET /files/{file_id}`."""
    return Request("GET", f"/files/{_path_segment(file_id)}")


def watch(job_id: str, after: str) -> Request:
    """Make `GET /jobs/{id}/events`, from behind the event with the id in after."""
    headers = {"Accept": "text/event-stream"}
    if after:
        headers["Last-Event-ID"] = after
    path = f"/jobs/{_path_segment(job_id)}/events"
    return Request("GET", path, headers=headers, hold=_HEARTBEAT)


def batch_results(batch_id: str, after: int, *, follow: bool) -> Request:
    """Make `GET /batches/{id}/results`, without the first lines."""
    params = {"after": str(after), "follow": "true" if follow else "false"}
    path = f"/batches/{_path_segment(batch_id)}/results"
    return Request("GET", path, params=params, hold=_HEARTBEAT)


def _long_poll(path: str, wait: float) -> Request:
    wait = min(max(wait, 0.0), MAX_HOLD)
    params = {"wait": f"{wait:.3f}"} if wait else {}
    return Request("GET", path, params=params, hold=wait)


def _key(value: str | None) -> str:
    return uuid.uuid4().hex if value is None else value


def _path_segment(value: str) -> str:
    """Escape one part of a path."""
    if value in ("", ".", ".."):
        raise ValueError(f"{value!r} is no id")
    return quote(value, safe="")


def _files(job: JobRequest) -> dict[str, bytes | FileRef]:
    """Return the files of a job, and read those that it names."""
    files = (job.get("files") or {}).items()
    return {
        path: value if isinstance(value, FileRef) else _content(value)
        for path, value in files
    }


def _contents(files: Mapping[str, bytes | FileRef]) -> dict[str, bytes]:
    """Return the files that are sent."""
    return {p: each for p, each in files.items() if isinstance(each, bytes)}


def _entry(path: str, file: bytes | FileRef) -> dict[str, str]:
    """Return a file as JSON requests have it."""
    if isinstance(file, FileRef):
        return {"path": path, **file.fields()}
    return {"path": path, "content_base64": base64.b64encode(file).decode()}


def _content(value: Content) -> bytes:
    if isinstance(value, Path):
        return value.read_bytes()
    return value.encode() if isinstance(value, str) else value


def _source(script: Script) -> str:
    return script.read_text(encoding="utf-8") if isinstance(script, Path) else script


def _encode(value: Any) -> bytes:
    # NaN and infinities are not JSON.
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _fields(job: JobRequest, files: Mapping[str, bytes | FileRef]) -> dict[str, Any]:
    """Return the fields of a JSON request."""
    fields: dict[str, Any] = {"script": _source(job["script"])}
    for name in (*_JSON_FIELDS, *_TEXT_FIELDS):
        value = job.get(name)
        if value is not None:
            fields[name] = value
    if files:
        fields["files"] = [_entry(path, file) for path, file in files.items()]
    return fields


def _form(job: JobRequest, files: Mapping[str, bytes | FileRef]) -> tuple[str, bytes]:
    """Encode the job as a multipart form: its media type and its body."""
    parts: list[tuple[str, tuple[str | None, bytes]]] = []
    for name, value in _fields(job, {}).items():
        as_json = name in _JSON_FIELDS
        parts.append((name, (None, _encode(value) if as_json else value.encode())))
    contents = _contents(files)
    parts += [("files", (path, content)) for path, content in contents.items()]
    refs = [_entry(p, each) for p, each in files.items() if p not in contents]
    if refs:
        parts.append(("file_refs", (None, _encode(refs))))
    form = httpx.Request("POST", "http://form", files=parts)
    return form.headers["Content-Type"], form.read()
