"""How streams resume, with responses that break off at chosen places."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cellblock
import pytest
from gateway import Connection, Gateway, drop, status

AT = "2026-01-02T03:04:05.678Z"
JOB = {"job_id": "a", "status": "succeeded", "result": 3, "stdout": "one\ntwo\n"}
JOB |= {"created_at": AT, "started_at": AT, "finished_at": AT}

Told = tuple[str, str, dict[str, Any]]

STATE = ("state", "1-0", {"job_id": "a", "status": "running", "later": 1})
ONE = ("stdout", "1-4", {"text": "one\n"})
TWO = ("stderr", "1-8", {"text": "zwö\n"})
NEW: Told = ("kind that comes later", "1-9", {})
END = ("end", "1-e", JOB)


def stream(
    *told: Told | str, media: str = "text/event-stream"
) -> Callable[[Connection], None]:
    """Respond with events, or with raw texts, and close the connection."""
    body = ""
    for each in told:
        if isinstance(each, str):
            body += each
        else:
            kind, number, data = each
            body += f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n"
    head = f"HTTP/1.1 200 OK\nContent-Type: {media}\nConnection: close\n\n"
    return lambda connection: connection.respond(head + body)


def lines(*results: dict[str, Any] | str) -> Callable[[Connection], None]:
    told = (r if isinstance(r, str) else json.dumps(r) + "\n" for r in results)
    return stream(*told, media="application/x-ndjson")


def test_watch_resumes_where_it_broke(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.extend(
        [
            stream(
                ": hello\n\n", "retry: 20\n\n", STATE, ONE, "event: stdout\nid: x\nda"
            ),
            drop,
            status("503 Service Unavailable"),
            stream(TWO, NEW),
            stream(END, ONE),
        ]
    )
    events = list(faulty_client.watch("a"))
    assert events[:-1] == [
        cellblock.State(job_id="a", status="running", id="1-0"),
        cellblock.Output(stream="stdout", text="one\n", id="1-4"),
        cellblock.Output(stream="stderr", text="zwö\n", id="1-8"),
    ]
    assert isinstance(events[-1], cellblock.End)
    assert events[-1].job.result == 3
    assert gateway.header("Last-Event-ID") == [None, "1-4", "1-4", "1-4", "1-9"]
    assert set(gateway.header("Accept")) == {"text/event-stream"}


def test_watch_starts_after_an_event(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.append(status("204 No Content"))
    assert list(faulty_client.watch("a", after="1-e")) == []
    assert gateway.header("Last-Event-ID") == ["1-e"]


def test_watch_without_progress_ends(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.extend([stream(ONE), *[stream("retry: 1\n\n")] * 99])
    events = faulty_client.watch("a")
    assert next(events).text == "one\n"
    with pytest.raises(cellblock.Unreachable, match="broke off"):
        next(events)
    # The attempt that received an event counts as the first.
    assert len(gateway.heads) == cellblock.Retries().patient().attempts


def test_comments_count_as_progress(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.extend([*[stream(":\n\n")] * 9, stream(END)])
    assert [type(each) for each in faulty_client.watch("a")] == [cellblock.End]


def test_retry_beyond_longest_pause_ends_the_watch(
    faulty_client: Any, gateway: Gateway
) -> None:
    gateway.faults.append(stream(ONE, "retry: 3600000\n\n"))
    with pytest.raises(cellblock.Unreachable):
        list(faulty_client.watch("a"))
    assert len(gateway.heads) == 1


def test_watching_an_unknown_job(faulty_client: Any) -> None:
    with pytest.raises(cellblock.NotFound):
        list(faulty_client.watch("01981f3e-7c1a-7000-8000-000000000001"))


@pytest.mark.parametrize("data", ["[", "[]", "{}", '{"text"}'])
def test_events_outside_the_contract(
    faulty_client: Any, gateway: Gateway, data: str
) -> None:
    gateway.faults.append(stream(f"event: stdout\ndata: {data}\n\n"))
    with pytest.raises(cellblock.UnexpectedResponse):
        list(faulty_client.watch("a"))


def test_leaving_a_watch_closes_it(faulty_client: Any, gateway: Gateway) -> None:
    left = []

    def go_on(connection: Connection) -> None:
        stream(STATE, ONE)(connection)
        try:
            left.append(connection.client.recv(1))  # until the client has disconnected
        except ConnectionError:
            left.append(b"")

    gateway.faults.append(go_on)
    events = faulty_client.watch("a")
    next(events)
    events.close()
    gateway.wait()
    assert left == [b""]


def test_results_resume_where_they_broke(faulty_client: Any, gateway: Gateway) -> None:
    refused = {"index": 1, "error": "why", "code": "invalid_request", "later": 1}
    done = {"index": 0, "job": JOB}
    gateway.faults.extend(
        [
            lines(refused, "\n", json.dumps(done)[:30]),
            drop,
            lines("\n", {**done, "index": 2}, done, "\n"),
        ]
    )
    results = list(faulty_client.batch_results("b", after=4))
    assert [(each.index, each.code) for each in results] == [
        (1, "invalid_request"),
        (2, None),
        (0, None),
    ]
    assert results[0].job is None
    assert results[2].job.result == 3
    asked = [head.split(" ")[1] for head in gateway.heads]
    assert asked == [
        f"/batches/b/results?after={after}&follow=true" for after in (4, 5, 5)
    ]


def test_results_without_progress_end(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.extend([lines('{"index"')] * 9 + [drop] * 9)
    with pytest.raises(cellblock.Unreachable):
        list(faulty_client.batch_results("b", follow=False))
    asked = {head.split(" ")[1] for head in gateway.heads}
    assert asked == {"/batches/b/results?after=0&follow=false"}
