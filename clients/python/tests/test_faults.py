"""The clients when something between them and the service fails."""

import json
import time
from collections.abc import Callable
from typing import Any

import cellblock
import pytest
from conftest import Clients
from gateway import Gateway, Passage, break_after, drop, status

from scripts import HELLO, LEAVES, SLOW

PASSING = {
    "the connection is dropped": drop,
    "the answer breaks off": break_after(40),
    "the body breaks off": break_after(330),
    "a proxy finds nobody": status("502 Bad Gateway"),
    "the service is away": status("503 Service Unavailable", "Retry-After: 1"),
    "the queue is full": status("429 Too Many Requests"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_is_lived_through(
    through: Any, gateway: Gateway, fault: Callable[[Passage], None]
) -> None:
    gateway.faults.append(fault)
    began = time.monotonic()
    given = through.run(HELLO)
    took = time.monotonic() - began
    assert given.result == 49
    keys = gateway.header("Idempotency-Key")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert through.get(given.job_id).status == "succeeded"
    if fault is PASSING["the service is away"]:
        assert took >= 1  # as in Retry-After


def test_a_job_is_waited_for_through_faults(through: Any, gateway: Gateway) -> None:
    job_id = through.submit(HELLO).job_id
    attempts = cellblock.Retries().attempts
    gateway.faults.extend([*[drop] * attempts, break_after(200)])
    assert through.wait(job_id).result == 49


def test_attempts_are_bounded(through: Any, gateway: Gateway) -> None:
    gateway.faults.extend([drop] * 9)
    with pytest.raises(cellblock.Unreachable) as caught:
        through.run(HELLO)
    assert len(gateway.heads) == cellblock.Retries().attempts
    assert caught.value.code is None
    assert caught.value.__cause__ is not None
    gateway.faults.clear()
    gateway.faults.extend([status("503 Service Unavailable")] * 9)
    with pytest.raises(cellblock.Unavailable) as away:
        through.metrics()
    assert (away.value.status, away.value.code) == (503, None)


def test_one_attempt_is_one(clients: Clients, gateway: Gateway) -> None:
    client = clients(gateway.url, retries=cellblock.Retries(attempts=1))
    gateway.faults.extend([drop] * 2)
    with pytest.raises(cellblock.Unreachable):
        client.metrics()
    with pytest.raises(cellblock.Unreachable):
        client.metrics()
    assert client.health().status == "ok"


def test_a_service_that_wants_too_long_a_pause_is_left(
    through: Any, gateway: Gateway
) -> None:
    gateway.faults.append(status("429 Too Many Requests", "Retry-After: 3600"))
    with pytest.raises(cellblock.QueueFull) as caught:
        through.submit(HELLO)
    assert caught.value.retry_after == 3600
    assert len(gateway.heads) == 1


def test_nobody_is_there(clients: Clients, nobody: str) -> None:
    with pytest.raises(cellblock.Unreachable) as caught:
        clients(nobody).run(HELLO)
    assert "ConnectError" in caught.value.message


def test_a_service_that_says_nothing(clients: Clients, gateway: Gateway) -> None:
    def silence(passage: Passage) -> None:
        passage.client.recv(1)  # until the client has disconnected

    client = clients(gateway.url, timeout=0.5)
    gateway.faults.append(silence)
    assert "cellblock_workers" in client.metrics()


def test_an_answer_that_is_held_is_no_silence(
    clients: Clients, client: Any, gateway: Gateway
) -> None:
    job_id = client.submit(SLOW, args={"seconds": 0.8}).job_id
    impatient = clients(gateway.url, timeout=0.3)
    impatient.wait(job_id)
    assert len(gateway.heads) == 1
    impatient.run(SLOW, args={"seconds": 0.5})
    assert [head.split(" ")[0] for head in gateway.heads].count("POST") == 1


def test_a_service_that_holds_no_answer_is_not_asked_all_the_time(
    through: Any, gateway: Gateway
) -> None:
    job_id = through.run(HELLO).job_id
    job = {"job_id": job_id, "status": "running", "started_at": None}
    job |= {"created_at": "2026-01-02T03:04:05.678Z", "finished_at": None}
    head = "HTTP/1.1 200 OK\nConnection: close\nRetry-After: 1\n\n"
    gateway.faults.append(lambda passage: passage.answer(head + json.dumps(job)))
    began = time.monotonic()
    assert through.wait(job_id).result == 49
    assert time.monotonic() - began >= 1


def test_whoever_asks_for_health_is_told_at_once(
    through: Any, gateway: Gateway
) -> None:
    gateway.faults.extend([drop, status("503 Service Unavailable", "Retry-After: 5")])
    with pytest.raises(cellblock.Unreachable):
        through.health()
    with pytest.raises(cellblock.Unavailable):
        through.ready()
    assert through.ready().status == "ready"


@pytest.mark.parametrize(
    "page", ["200 OK", "302 Found", "418 I am a teapot", "500 Internal Server Error"]
)
def test_answers_that_are_not_the_services(
    through: Any, gateway: Gateway, page: str
) -> None:
    gateway.faults.append(status(page, "Location: /elsewhere"))
    with pytest.raises(cellblock.CellblockError) as caught:
        through.run(HELLO)
    kinds = {"2": "UnexpectedAnswer", "3": "UnexpectedAnswer"}
    kinds |= {"4": "Refused", "5": "ServiceFault"}
    assert type(caught.value).__name__ == kinds[page[0]]
    assert len(gateway.heads) == 1


def test_a_file_that_breaks_off(through: Any, gateway: Gateway) -> None:
    job_id = through.run(LEAVES).job_id
    gateway.faults.append(break_after(100_000))
    assert len(through.file(job_id, "large")) == 300_000
    gateway.faults.extend([drop, break_after(100_000)])
    pieces = through.stream_file(job_id, "large")
    assert len(next(pieces)) > 0
    with pytest.raises(cellblock.Unreachable):
        list(pieces)
