"""Parts that need no service: parsing, pauses, settings."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone
from typing import Any

import cellblock
import pytest
from cellblock import CellblockError, Client, Retries
from cellblock.decoding import build, read
from cellblock.responses import Response
from cellblock.sse import Message, Parser

STREAM = (
    "\ufeff: hello\nretry: 1500\n\nevent: state\nid: 1\ndata: {}\n\n"
    "event:stdout\r\nid: 2\r\ndata: a\r\ndata:  ü€𝄞\r\n\r\n"
    "id: 3\rdata\r\rid: a\0b\nretry: soon\nunknown: x\n\nevent: end\ndata: last\n\n"
    "event: cut\ndata: off"
)
MESSAGES = [
    Message("state", "1", "{}"),
    Message("stdout", "2", "a\n ü€𝄞"),
    Message("message", "3", ""),
    Message("end", "3", "last"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_parse_in_chunks_of_any_size(size: int) -> None:
    parser, raw = Parser(), STREAM.encode()
    chunks = (raw[i : i + size] for i in range(0, len(raw), size))
    assert [m for chunk in chunks for m in parser.feed(chunk)] == MESSAGES
    assert (parser.retry, parser.comments) == (1500, 1)


def test_pauses_grow_and_are_bounded() -> None:
    retries = Retries(attempts=8, first_pause=1, longest_pause=10)
    for attempt, upper in enumerate((1, 2, 4, 8, 10, 10, 10), 1):
        pauses = {retries.pause(attempt) or 0 for _ in range(50)}
        assert upper / 2 <= min(pauses) < max(pauses) <= upper
    assert retries.pause(8) is None
    assert 10 < (retries.pause(1, 10) or 0) <= 11
    assert retries.pause(1, 10.5) is None
    assert Retries(attempts=1).pause(1) is None
    assert Retries(attempts=1).patient().attempts == 1


@pytest.mark.parametrize("given", [{"attempts": 0}, {"first_pause": -1}])
def test_invalid_retries_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="attempts"):
        Retries(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"base_url": "127.0.0.1:8080"},
        {"base_url": "ftp://host"},
        {"base_url": "http://"},
        {"base_url": "http://user:secret@host"},
        {"token": "secret\n"},
        {"token": "secret\u00e9"},
        {"timeout": 0},
    ],
)
def test_invalid_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))) as caught:
        Client(**given)
    assert "secret" not in str(caught.value)


def test_base_url_may_have_a_path() -> None:
    with Client("https://host/cellblock/", token="") as client:
        request = client._http.build_request("GET", "/jobs/a")
    assert str(request.url) == "https://host/cellblock/jobs/a"
    assert "Authorization" not in request.headers


RESPONSES: list[tuple[int, str, type[CellblockError]]] = [
    (400, '"code": "new", "job_id": "a"', cellblock.JobFailed),
    (422, '"code": "new", "job_id": "a"', cellblock.JobFailed),
    (422, '"code": "new"', cellblock.Refused),
    (401, '"code": "new"', cellblock.Unauthorized),
    (403, '"code": "new"', cellblock.Forbidden),
    (403, '"code": "forbidden"', cellblock.Forbidden),
    (404, '"code": "new", "job_id": "a"', cellblock.NotFound),
    (413, '"code": "new"', cellblock.TooLarge),
    (429, '"code": "new"', cellblock.QueueFull),
    (429, '"code": "rate_limited"', cellblock.RateLimited),
    (429, '"code": "quota_exceeded"', cellblock.QuotaExceeded),
    (500, '"code": "new"', cellblock.ServiceFault),
    (503, '"code": "new", "job_id": "a"', cellblock.Unavailable),
    (200, '"code": "new"', cellblock.UnexpectedResponse),
    (500, '"code": "worker_lost", "job_id": "a"', cellblock.WorkerLost),
    (503, '"code": "not_started", "job_id": "a"', cellblock.NotStarted),
]


@pytest.mark.parametrize(("status", "body", "kind"), RESPONSES)
def test_each_error_has_a_class(
    status: int, body: str, kind: type[CellblockError]
) -> None:
    raw = f'{{"error": "why", {body}, "later": 1}}'.encode()
    error = Response(status, {"Retry-After": "7", "X-Request-Id": "r"}, raw).failure()
    assert type(error) is kind
    assert (error.message, error.status, error.retry_after) == ("why", status, 7)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), vars(copy)) == (kind, vars(error))


TIMELESS = (
    '{"job_id": "a", "status": "queued", "created_at": 1, "started_at": null,'
    ' "finished_at": null}'
)


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"job_id": "a"}', "[" * 100_000, '{"job_id": 1}', TIMELESS]
)
def test_bodies_outside_the_contract(body: str) -> None:
    with pytest.raises(cellblock.UnexpectedResponse):
        read(cellblock.Job, body)


def test_callback_message_decodes() -> None:
    at = "2026-01-02T03:04:05.678Z"
    job = {"job_id": "a", "status": "failed", "code": "internal", "error": "why"}
    times = {"created_at": at, "started_at": None, "finished_at": at}
    callback = {
        "url": "https://h/",
        "status": "delivered",
        "attempts": 1,
        "error": None,
    }
    callback |= {"last_attempt_at": at, "next_attempt_at": None, "response_status": 204}
    data = {**job, **times, "callback": callback}
    message = build(
        cellblock.CallbackMessage, {"type": "job.ended", "timestamp": at, "data": data}
    )
    when = datetime(2026, 1, 2, 3, 4, 5, 678000, timezone.utc)
    assert message.timestamp == message.data.finished_at == when
    assert message.data.callback is not None
    assert message.data.callback.last_attempt_at == when
    with pytest.raises(cellblock.JobFailed, match="why") as caught:
        message.data.raise_for_failure()
    assert (type(caught.value), caught.value.code) == (cellblock.JobFailed, "internal")
