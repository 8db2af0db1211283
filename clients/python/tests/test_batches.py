"""Batches on the real service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cellblock
import pytest
from gateway import Gateway, break_after, drop

from scripts import FAILING, HELLO, SLOW

SQUARES: list[cellblock.JobRequest] = [
    {"script": HELLO, "args": {"n": n}, "priority": "low"} for n in range(12)
]


def test_batch_results_are_those_of_its_jobs(client: Any, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(HELLO)
    jobs = [
        *SQUARES,
        {"script": FAILING},
        {"script": tmp_path / "job.py", "files": {"a": b"b"}, "limits": {}},
        {"script": HELLO, "priority": "high"},
    ]
    accepted = client.submit_batch(iter(jobs))
    assert (accepted.counts.total, accepted.counts.refused) == (15, 1)
    assert [member.index for member in accepted.members] == list(range(15))
    refused = accepted.members[14]
    assert (refused.job_id, refused.code) == (None, "invalid_request")
    results = {each.index: each for each in client.batch_results(accepted.batch_id)}
    assert len(results) == 15
    assert [results[n].job.result for n in range(12)] == [n * n for n in range(12)]
    assert results[12].job.code == "exception"
    assert results[13].job.result == 49
    assert (results[14].error, results[14].code) == (refused.error, refused.code)
    batch = client.wait_batch(accepted.batch_id)
    assert (batch.status, batch.batch_id) == ("ended", accepted.batch_id)
    assert (batch.counts.succeeded, batch.counts.failed) == (13, 1)
    assert client.get_batch(accepted.batch_id) == batch
    rest = list(client.batch_results(accepted.batch_id, after=13, follow=False))
    assert len(rest) == 2


def test_batch_survives_faults(faulty_client: Any, gateway: Gateway) -> None:
    gateway.faults.append(break_after(100))
    accepted = faulty_client.submit_batch(SQUARES)
    assert len(set(gateway.header("Idempotency-Key"))) == 1
    gateway.faults.extend([break_after(700), drop, break_after(1500)])
    results = list(faulty_client.batch_results(accepted.batch_id))
    assert sorted(each.job.result for each in results) == [n * n for n in range(12)]
    assert faulty_client.get_batch(accepted.batch_id).counts.total == 12


def test_a_batch_can_be_cancelled(client: Any) -> None:
    accepted = client.submit_batch([{"script": SLOW}] * 6)
    with pytest.raises(cellblock.NotEnded):
        client.wait_batch(accepted.batch_id, timeout=0.1)
    assert client.cancel_batch(accepted.batch_id).batch_id == accepted.batch_id
    batch = client.wait_batch(accepted.batch_id, timeout=20)
    assert (batch.status, batch.counts.cancelled) == ("ended", 6)
    assert client.cancel_batch(accepted.batch_id) == batch


@pytest.mark.parametrize("jobs", [[], [{"script": HELLO}] * 1001])
def test_invalid_batches_are_refused(client: Any, jobs: Any) -> None:
    with pytest.raises(cellblock.InvalidRequest):
        client.submit_batch(jobs)


def test_same_idempotency_key_is_one_batch(client: Any, tmp_path: Path) -> None:
    key = f"batch of {tmp_path}"
    once = client.submit_batch(SQUARES[:2], idempotency_key=key)
    again = client.submit_batch(SQUARES[:2], idempotency_key=key)
    assert again.batch_id == once.batch_id
    assert again.members == once.members
    with pytest.raises(cellblock.IdempotencyMismatch):
        client.submit_batch(SQUARES[:3], idempotency_key=key)


def test_unknown_batch_is_not_found(client: Any) -> None:
    unknown_id = "01981f3e-7c1a-7000-8000-0000000000b1"
    for method in (client.get_batch, client.wait_batch, client.cancel_batch):
        with pytest.raises(cellblock.NotFound):
            method(unknown_id)
    with pytest.raises(cellblock.NotFound):
        list(client.batch_results(unknown_id))
