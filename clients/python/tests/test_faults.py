"""The clients when something between them and the service fails."""

import json
import time
from collections.abc import Callable
from typing import Any

import cellblock
import pytest
from conftest import Clients
from gateway import Connection, Gateway, break_after, drop, status

from scripts import HELLO, SLOW, WRITES_FILES

TEMPORARY_FAULTS = {
    "the connection is dropped": drop,
    "the response breaks off": break_after(40),
    "the body breaks off": break_after(330),
    "a proxy finds nobody": status("502 Bad Gateway"),
    "the service is away": status("503 Service Unavailable", "Retry-After: 1"),
    "the queue is full": status("429 Too Many Requests"),
}


@pytest.mark.parametrize("fault", TEMPORARY_FAULTS.values(), ids=TEMPORARY_FAULTS)
def test_temporary_fault_is_retried(
    faulty_client: Any, gateway: Gateway, fault: Callable[[Connection], None]
) -> None:
    gateway.faults.append(fault)
    began = time.monotonic()
    given = faulty_client.run(HELLO)
    took = time.monotonic() - began
    assert given.result == 49
    keys = gateway.header("Idempotency-Key")
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert faulty_client.get(given.job_id).status == "succeeded"
    if fault is TEMPORARY_FAULTS["the service is away"]:
        assert took >= 1  # as in Retry-After


def test_wait_survives_faults(faulty_client: Any, gateway: Gateway) -> None:
    job_id = faulty_client.submit(HELLO).job_id
    attempts = cellblock.Retries().attempts
    gateway.faults.extend([*[drop] * attempts, break_after(200)])
    assert faulty_client.wait(job_id).result == 49


def test_attempts_are_bounded(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.extend([drop] * 9)
    with pytest.raises(cellblock.Unreachable) as caught:
        faulty_client.run(HELLO)
    assert len(gateway.heads) == cellblock.Retries().attempts
    assert caught.value.code is None
    assert caught.value.__cause__ is not None
    gateway.faults.clear()
    gateway.faults.extend([status("503 Service Unavailable")] * 9)
    with pytest.raises(cellblock.Unavailable) as away:
        faulty_client.metrics()
    assert (away.value.status, away.value.code) == (503, None)


def test_one_attempt_means_no_retry(clients: Clients, gateway: Gateway) -> None:
    client = clients(gateway.url, retries=cellblock.Retries(attempts=1))
    gateway.faults.extend([drop] * 2)
    with pytest.raises(cellblock.Unreachable):
        client.metrics()
    with pytest.raises(cellblock.Unreachable):
        client.metrics()
    assert client.health().status == "ok"


def test_retry_after_beyond_longest_pause_ends_retries(
    faulty_client: Any, gateway: Gateway
) -> None:
    gateway.faults.append(status("429 Too Many Requests", "Retry-After: 3600"))
    with pytest.raises(cellblock.QueueFull) as caught:
        faulty_client.submit(HELLO)
    assert caught.value.retry_after == 3600
    assert len(gateway.heads) == 1


def test_refused_connection_is_unreachable(clients: Clients, unused_url: str) -> None:
    with pytest.raises(cellblock.Unreachable) as caught:
        clients(unused_url).run(HELLO)
    assert "ConnectError" in caught.value.message


def test_silent_service_times_out_and_is_retried(
    clients: Clients, gateway: Gateway
) -> None:
    def silence(connection: Connection) -> None:
        connection.client.recv(1)  # until the client has disconnected

    client = clients(gateway.url, timeout=0.5)
    gateway.faults.append(silence)
    assert "cellblock_workers" in client.metrics()


def test_held_response_does_not_time_out(
    clients: Clients, client: Any, gateway: Gateway
) -> None:
    job_id = client.submit(SLOW, args={"seconds": 0.8}).job_id
    impatient = clients(gateway.url, timeout=0.3)
    impatient.wait(job_id)
    assert len(gateway.heads) == 1
    impatient.run(SLOW, args={"seconds": 0.5})
    assert [head.split(" ")[0] for head in gateway.heads].count("POST") == 1


def test_early_response_is_not_polled_in_a_tight_loop(
    faulty_client: Any, gateway: Gateway
) -> None:
    job_id = faulty_client.run(HELLO).job_id
    job = {"job_id": job_id, "status": "running", "started_at": None}
    job |= {"created_at": "2026-01-02T03:04:05.678Z", "finished_at": None}
    head = "HTTP/1.1 200 OK\nConnection: close\nRetry-After: 1\n\n"
    gateway.faults.append(lambda connection: connection.respond(head + json.dumps(job)))
    began = time.monotonic()
    assert faulty_client.wait(job_id).result == 49
    assert time.monotonic() - began >= 1


def test_health_and_ready_are_not_retried(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.extend([drop, status("503 Service Unavailable", "Retry-After: 5")])
    with pytest.raises(cellblock.Unreachable):
        faulty_client.health()
    with pytest.raises(cellblock.Unavailable):
        faulty_client.ready()
    assert faulty_client.ready().status == "ready"


@pytest.mark.parametrize(
    "page", ["200 OK", "302 Found", "418 I am a teapot", "500 Internal Server Error"]
)
def test_responses_of_a_proxy(faulty_client: Any, gateway: Gateway, page: str) -> None:
    gateway.faults.append(status(page, "Location: /elsewhere"))
    with pytest.raises(cellblock.CellblockError) as caught:
        faulty_client.run(HELLO)
    kinds = {"2": "UnexpectedResponse", "3": "UnexpectedResponse"}
    kinds |= {"4": "Refused", "5": "ServiceFault"}
    assert type(caught.value).__name__ == kinds[page[0]]
    assert len(gateway.heads) == 1


def test_broken_file_download(faulty_client: Any, gateway: Gateway) -> None:
    job_id = faulty_client.run(WRITES_FILES).job_id
    gateway.faults.append(break_after(100_000))
    assert len(faulty_client.file(job_id, "large")) == 300_000
    gateway.faults.extend([drop, break_after(100_000)])
    pieces = faulty_client.stream_file(job_id, "large")
    assert len(next(pieces)) > 0
    with pytest.raises(cellblock.Unreachable):
        list(pieces)
