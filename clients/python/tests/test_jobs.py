"""Jobs on the real service, with both clients."""

import hashlib
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import cellblock
import pytest
from conftest import Clients
from gateway import Gateway
from service import TOKEN, Service

from scripts import ECHO_INPUTS, FAILING, HELLO, SLOW, SUMS, WRITES_FILES


def test_run_returns_result_and_output(client: Any) -> None:
    given = client.run(HELLO)
    assert (given.result, given.stdout, given.stderr) == (49, "hello\n", "")
    assert given.usage.run_ms > 0
    assert given.truncated == cellblock.Truncated(stdout=False, stderr=False)
    assert given.files == ()
    job = client.get(given.job_id)
    assert (job.status, job.result, job.ended) == ("succeeded", 49, True)
    assert job.created_at <= job.started_at <= job.finished_at
    assert given == job.to_result()
    assert abs((datetime.now(timezone.utc) - job.created_at).total_seconds()) < 60
    job.raise_for_failure()


def test_a_job_and_its_environment_have_limits(client: Any) -> None:
    given = client.run(HELLO, limits={"wall_seconds": 1.5, "memory_mb": 64})
    deadline = time.monotonic() + 20
    while not (found := client.environments()):  # until a worker has reported
        assert time.monotonic() < deadline
        time.sleep(0.1)
    default = found[0]
    assert default.name == "default"
    assert default.limits == default.max_limits
    assert given.limits == replace(default.limits, wall_seconds=1.5, memory_mb=64)
    assert client.get(given.job_id).limits == given.limits
    with pytest.raises(cellblock.JobFailed) as failed:
        client.run("def main():\n    return 1 / 0")
    assert client.get(failed.value.job_id).limits == default.limits


def test_activity_and_workers(client: Any) -> None:
    client.run(HELLO)
    deadline = time.monotonic() + 20
    while not (now := client.activity()).totals.get("ok"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(now.minutes) == 60
    assert timedelta(0) <= now.at - now.minutes[-1].at < timedelta(minutes=1)
    assert now.minutes[-1].at - now.minutes[0].at == timedelta(minutes=59)
    assert now.queued >= 0
    assert now.running >= 0
    assert client.activity(tenant="nobody").totals == {}
    worker = client.workers()[0]
    assert worker.worker_id.startswith(worker.host + "/")
    assert (worker.status, worker.environments[0].name) == ("active", "default")
    assert worker.version
    assert worker.started_at <= datetime.now(timezone.utc)
    assert 0 <= worker.busy <= worker.places
    assert worker.environments[0].ready is not None


def test_numbers_are_exact(client: Any) -> None:
    script = "def main():\n    return [2**80, -(2**64), 3.0, 3, None, True, 1e300]"
    result = client.run(script).result
    assert result == [2**80, -(2**64), 3.0, 3, None, True, 1e300]
    assert [type(each) for each in result[2:4]] == [float, int]


def test_job_receives_all_inputs(client: Any, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(ECHO_INPUTS, encoding="utf-8")
    (tmp_path / "local.bin").write_bytes(b"\x00\xff")
    files = {"data/ü.txt": "grün", "b": b"\x01\x80", "c": tmp_path / "local.bin"}
    given = client.run(
        tmp_path / "job.py",
        args={"paths": list(files), "x": [1, {"y": None}]},
        stdin="ä line\n",
        env={"MODE": "fast"},
        files=files,
        limits={"wall_seconds": 5.5, "memory_mb": 128, "processes": 8},
        priority="low",
        callback_url=None,
        start_within=59.5,
    )
    assert given.result == {
        "args": {"x": [1, {"y": None}]},
        "stdin": "ä line\n",
        "mode": "fast",
        "files": {
            "data/ü.txt": "grün".encode().hex(),
            "b": "0180",
            "c": "00ff",
        },
    }


@pytest.mark.parametrize("saved", [b"\xef\xbb\xbf%s", b"\r\n%s\r\n"])
def test_script_file_with_byte_order_mark(
    client: Any, tmp_path: Path, saved: bytes
) -> None:
    path = tmp_path / "job.py"
    path.write_bytes(saved % b"def main(**given):\r\n\treturn given['a']\r\n")
    assert client.run(path, args={"a": (1, 2)}).result == [1, 2]


def test_invalid_arguments_raise_before_sending(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "job.py"
    path.write_bytes(b"# \xe9\ndef main():\n    return 1\n")
    with pytest.raises(UnicodeDecodeError):
        client.run(path)
    with pytest.raises(TypeError, match="Decimal"):
        client.run(HELLO, args={"n": Decimal("1.5")})
    with pytest.raises(cellblock.InvalidScript):  # a string is the script itself
        client.run("job.py")


@pytest.mark.parametrize("name", ["data/größe %.bin", 'quoted".bin'])
def test_large_files_arrive(client: Any, name: str) -> None:
    large = bytes(range(256)) * 12_000
    files = {name: large, "small": "x"}
    given = client.run(SUMS, args={"paths": list(files)}, files=files, env={"A": "b"})
    assert given.result == [hashlib.sha256(each).hexdigest() for each in (large, b"x")]


def test_run_waits_longer_than_the_service(client: Any) -> None:
    given = client.run(SLOW, args={"seconds": 1.4})
    assert (given.result, given.stdout) == ("slept", "begun\n")


def test_run_raises_on_timeout(
    client: Any, faulty_client: Any, gateway: Gateway
) -> None:
    with pytest.raises(cellblock.NotEnded) as caught:
        faulty_client.run(SLOW, timeout=0.3)
    assert gateway.header("Prefer")[0] == "wait=0"
    job_id = caught.value.job_id
    assert not client.get(job_id).ended
    with pytest.raises(cellblock.NotEnded):
        client.wait(job_id, timeout=0.1)
    cancelling = client.cancel(job_id)
    assert cancelling.job_id == job_id
    job = client.wait(job_id, timeout=20)
    assert (job.status, job.code) == ("cancelled", "cancelled")
    with pytest.raises(cellblock.Cancelled) as cancelled:
        job.raise_for_failure()
    assert cancelled.value.job == job


FAILURES: dict[str, tuple[str, type[cellblock.JobFailed]]] = {
    "missing_main": ("def f(): pass", cellblock.InvalidScript),
    "syntax_error": ("def main(:\n  pass", cellblock.InvalidScript),
    "args_mismatch": ("def main(): pass", cellblock.InvalidScript),
    "exception": ("def main(n): return n / 0", cellblock.ScriptRaised),
    "exit": ("import sys\ndef main(n): sys.exit(n)", cellblock.ScriptExited),
    "not_serializable": ("def main(n): return {n}", cellblock.NotSerializable),
    "timeout": ("def main(n):\n  while n: pass", cellblock.TimedOut),
    "result_too_large": ("def main(n): return 'x' * 5000000", cellblock.LimitExceeded),
    "killed": ("import os\ndef main(n): os.kill(os.getpid(), 9)", cellblock.Killed),
}


@pytest.mark.parametrize("code", FAILURES)
def test_failures(client: Any, code: str) -> None:
    script, kind = FAILURES[code]
    given = {"args": {"n": 3}, "limits": {"wall_seconds": 0.5}}
    with pytest.raises(kind) as caught:
        client.run(script, **given)
    failure = caught.value
    job = client.get(failure.job_id)
    with pytest.raises(kind) as again:
        job.raise_for_failure()
    for each in (failure, again.value):
        assert (type(each), each.code, each.message) == (kind, code, job.error)
        for name in ("stdout", "stderr", "limit", "traceback"):
            assert getattr(each, name) == getattr(job, name)
        for name in ("detail", "line", "column", "exit_code", "signal", "usage"):
            assert getattr(each.outcome, name) == getattr(job, name)
        assert each.job == job


def test_a_job_that_fails_after_the_wait(client: Any) -> None:
    script = f"{SLOW}    raise ValueError\n".replace("    return 'slept'\n", "")
    with pytest.raises(cellblock.ScriptRaised) as caught:
        client.run(script, args={"seconds": 1.3})
    assert caught.value.job == client.get(caught.value.job_id)


def test_failure_has_the_details(client: Any) -> None:
    with pytest.raises(cellblock.JobFailed) as caught:
        client.run(FAILING)
    failure: Any = caught.value
    assert (failure.status, failure.stdout) == (422, "before\n")
    assert failure.message == "ZeroDivisionError: division by zero"
    assert failure.traceback.endswith(f"{failure.message}\n")
    assert failure.request_id
    assert str(failure) == f"{failure.message} (exception, job {failure.job_id})"
    with pytest.raises(cellblock.TimedOut) as late:
        client.run(SLOW, limits={"wall_seconds": 0.2})
    assert late.value.limit == cellblock.Limit(name="wall", value=0.2, unit="seconds")
    assert late.value.stdout == "begun\n"


def test_text_of_a_failure_has_place_and_hint(client: Any) -> None:
    with pytest.raises(cellblock.NotSerializable) as caught:
        client.run("def main():\n    return {'a': [1, {2}]}")
    failure: Any = caught.value
    assert failure.outcome.detail.startswith('result["a"][1]: set')
    assert f"{failure.message}: {failure.outcome.detail}" in str(failure)
    assert str(failure).endswith(f" (not_serializable, job {failure.job_id})")
    with pytest.raises(cellblock.ScriptRaised) as hinted:
        client.run("def main():\n    open('a', 'wb').write(bytes(1 << 21))")
    hint = getattr(hinted.value.outcome, "hint", None)
    assert hint
    assert hint in str(hinted.value)


def test_closed_client_raises(clients: Clients, service: Service) -> None:
    closed = clients(service.url)
    job_id = closed.run(HELLO).job_id
    watching = closed.watch(closed.submit(SLOW, args={"seconds": 3}).job_id)
    next(watching)
    if isinstance(closed, cellblock.Client):
        closed.close()
    else:
        closed.close_only()
    for call in (
        lambda: closed.run(HELLO),
        lambda: closed.get(job_id),
        lambda: next(closed.watch(job_id)),
        lambda: list(watching),
    ):
        with pytest.raises(cellblock.ClientClosed) as caught:
            call()
        assert str(caught.value) == "the client is closed"


def test_jobs_are_listed_page_by_page(client: Any) -> None:
    accepted = [client.submit(HELLO).job_id for _ in range(5)]
    for job_id in accepted:
        client.wait(job_id)
    found = []
    for job in client.list(status="succeeded", page_size=2):
        found.append(job.job_id)
        if len(found) == 5:
            break
    assert found == accepted[::-1]
    assert all(job.status == "failed" for job in client.list(status="failed"))


def test_a_job_that_has_ended_cannot_be_cancelled(client: Any) -> None:
    with pytest.raises(cellblock.AlreadyFinished) as caught:
        client.cancel(client.run(HELLO).job_id)
    assert (caught.value.status, caught.value.code) == (409, "already_finished")


def test_output_files(client: Any) -> None:
    given = client.run(WRITES_FILES, inline_files=True)
    small, large = given.files
    assert (small.name, small.content) == ("a/ü b.csv", b"x,y\n")
    assert (large.size, large.content) == (300_000, None)
    for each in given.files:
        content = client.file(given.job_id, each.name)
        assert hashlib.sha256(content).hexdigest() == each.sha256
        assert b"".join(client.stream_file(given.job_id, each.name)) == content
    assert client.get(given.job_id).files[0].content is None
    assert client.wait(given.job_id, inline_files=True).files == given.files
    with pytest.raises(cellblock.NotFound):
        client.file(given.job_id, "a")
    with pytest.raises(cellblock.NotFound):
        next(client.stream_file(given.job_id, "a"))


def test_jobs_are_found_by_their_labels(client: Any) -> None:
    labels = {"customer": "42", "example.com/test": uuid.uuid4().hex}
    given = client.run(HELLO, labels=labels)
    assert given.labels == client.get(given.job_id).labels == labels
    with pytest.raises(cellblock.ScriptRaised) as caught:
        client.run(FAILING, labels=labels)
    failed, succeeded = client.list(labels=labels, page_size=1)
    assert (succeeded.job_id, succeeded.labels) == (given.job_id, labels)
    assert (failed.job_id, failed.code) == (caught.value.job_id, "exception")
    assert [*client.list(labels=labels, code="exception")] == [failed]
    assert [*client.list(labels=labels, environment="default")] == [failed, succeeded]
    since = {"labels": labels, "since": failed.created_at}
    assert [*client.list(**since)] == [failed]
    assert [*client.list(labels=labels, until=failed.created_at)] == [succeeded]
    assert [*client.list(labels=labels, until=timedelta(hours=1))] == []
    assert [*client.list(labels={**labels, "customer": "43"})] == []
    assert client.run(HELLO).labels == {}
    with pytest.raises(cellblock.InvalidRequest, match="a b"):
        client.run(HELLO, labels={"a b": "c"})


def test_same_idempotency_key_is_one_job(client: Any, tmp_path: Path) -> None:
    key = f"key of {tmp_path}"
    once = client.run(HELLO, idempotency_key=key)
    assert client.run(HELLO, idempotency_key=key) == once
    assert client.run(HELLO).job_id != once.job_id
    with pytest.raises(cellblock.IdempotencyMismatch):
        client.submit(HELLO, args={"n": 2}, idempotency_key=key)


NOBODY = "01981f3e-7c1a-7000-8000-000000000001"
REFUSALS: list[tuple[type[Exception], str, str, dict[str, Any]]] = [
    (cellblock.TooLarge, "run", "#" * 60_000, {}),
    (cellblock.InvalidRequest, "submit", HELLO, {"limits": {"sheep": 1}}),
    (cellblock.InvalidRequest, "run", HELLO, {"files": {"../a": "b"}}),
    (cellblock.NotFound, "get", NOBODY, {}),
    (cellblock.NotFound, "wait", "a/../b?c", {}),
    (cellblock.NotFound, "cancel", NOBODY, {}),
    (ValueError, "run", HELLO, {"args": {"n": float("nan")}}),
    (ValueError, "get", "", {}),
]


@pytest.mark.parametrize(("kind", "method", "what", "given"), REFUSALS)
def test_refusals(
    client: Any, kind: type[Exception], method: str, what: str, given: dict[str, Any]
) -> None:
    with pytest.raises(kind) as caught:
        getattr(client, method)(what, **given)
    if isinstance(caught.value, cellblock.Refused):
        assert cellblock.errors.CODES[caught.value.code or ""] is kind
        assert caught.value.job_id in (None, what)


def test_token_is_required_and_never_shown(
    clients: Clients,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="")
    wrong = "wrong-" + TOKEN
    client = clients(service.url, token=wrong)
    with pytest.raises(cellblock.Unauthorized) as caught:
        client.run(HELLO)
    shown = [repr(client), repr(caught.value), str(caught.value), caplog.text]
    assert "/execute" in caplog.text
    assert service.url in repr(client)
    assert not any(TOKEN in text for text in shown)
    monkeypatch.setenv("CELLBLOCK_TOKEN", TOKEN)
    assert clients(service.url, token=None).run(HELLO).result == 49
    with pytest.raises(cellblock.Unauthorized):
        clients(service.url, token="").run(HELLO)


def test_health_ready_and_metrics(client: Any) -> None:
    assert client.ready() == cellblock.Ready(status="ready", workers=1)
    assert client.health() == cellblock.Health(status="ok")
    assert "cellblock_queue_depth" in client.metrics()
