"""How streams resume, with responses that break off at chosen places."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cellblock
import pytest
from gateway import Gateway, Passage, drop, status

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
) -> Callable[[Passage], None]:
    """Answer with events, or with raw texts, and close the connection."""
    body = ""
    for each in told:
        if isinstance(each, str):
            body += each
        else:
            kind, number, data = each
            body += f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n"
    head = f"HTTP/1.1 200 OK\nContent-Type: {media}\nConnection: close\n\n"
    return lambda passage: passage.answer(head + body)


def lines(*results: dict[str, Any] | str) -> Callable[[Passage], None]:
    told = (r if isinstance(r, str) else json.dumps(r) + "\n" for r in results)
    return stream(*told, media="application/x-ndjson")


def test_a_watch_goes_on_where_it_broke(through: Any, gateway: Gateway) -> None:
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
    events = list(through.watch("a"))
    assert events[:-1] == [
        cellblock.State(job_id="a", status="running", id="1-0"),
        cellblock.Output(stream="stdout", text="one\n", id="1-4"),
        cellblock.Output(stream="stderr", text="zwö\n", id="1-8"),
    ]
    assert isinstance(events[-1], cellblock.End)
    assert events[-1].job.result == 3
    assert gateway.header("Last-Event-ID") == [None, "1-4", "1-4", "1-4", "1-9"]
    assert set(gateway.header("Accept")) == {"text/event-stream"}


def test_a_watch_begins_behind_an_event(through: Any, gateway: Gateway) -> None:
    gateway.faults.append(status("204 No Content"))
    assert list(through.watch("a", after="1-e")) == []
    assert gateway.header("Last-Event-ID") == ["1-e"]


def test_a_watch_that_gets_nowhere_ends(through: Any, gateway: Gateway) -> None:
    gateway.faults.extend([stream(ONE), *[stream("retry: 1\n\n")] * 99])
    events = through.watch("a")
    assert next(events).text == "one\n"
    with pytest.raises(cellblock.Unreachable, match="broke off"):
        next(events)
    # The attempt that received an event counts as the first.
    assert len(gateway.heads) == cellblock.Retries().patient().attempts


def test_comments_are_a_sign_of_life(through: Any, gateway: Gateway) -> None:
    gateway.faults.extend([*[stream(":\n\n")] * 9, stream(END)])
    assert [type(each) for each in through.watch("a")] == [cellblock.End]


def test_a_pause_that_is_too_long_is_not_made(through: Any, gateway: Gateway) -> None:
    gateway.faults.append(stream(ONE, "retry: 3600000\n\n"))
    with pytest.raises(cellblock.Unreachable):
        list(through.watch("a"))
    assert len(gateway.heads) == 1


def test_a_job_that_is_not_there(through: Any) -> None:
    with pytest.raises(cellblock.NotFound):
        list(through.watch("01981f3e-7c1a-7000-8000-000000000001"))


@pytest.mark.parametrize("data", ["[", "[]", "{}", '{"text"}'])
def test_events_that_are_not_in_the_contract(
    through: Any, gateway: Gateway, data: str
) -> None:
    gateway.faults.append(stream(f"event: stdout\ndata: {data}\n\n"))
    with pytest.raises(cellblock.UnexpectedAnswer):
        list(through.watch("a"))


def test_leaving_a_watch_closes_it(through: Any, gateway: Gateway) -> None:
    left = []

    def go_on(passage: Passage) -> None:
        stream(STATE, ONE)(passage)
        try:
            left.append(passage.client.recv(1))  # until the client has disconnected
        except ConnectionError:
            left.append(b"")

    gateway.faults.append(go_on)
    events = through.watch("a")
    next(events)
    events.close()
    gateway.wait()
    assert left == [b""]


def test_results_go_on_where_they_broke(through: Any, gateway: Gateway) -> None:
    refused = {"index": 1, "error": "why", "code": "invalid_request", "later": 1}
    done = {"index": 0, "job": JOB}
    gateway.faults.extend(
        [
            lines(refused, "\n", json.dumps(done)[:30]),
            drop,
            lines("\n", {**done, "index": 2}, done, "\n"),
        ]
    )
    results = list(through.batch_results("b", after=4))
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


def test_results_that_do_not_come(through: Any, gateway: Gateway) -> None:
    gateway.faults.extend([lines('{"index"')] * 9 + [drop] * 9)
    with pytest.raises(cellblock.Unreachable):
        list(through.batch_results("b", follow=False))
    asked = {head.split(" ")[1] for head in gateway.heads}
    assert asked == {"/batches/b/results?after=0&follow=false"}
