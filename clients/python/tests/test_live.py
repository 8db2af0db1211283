"""Live output of the real service."""

from __future__ import annotations

from typing import Any

import cellblock
import pytest
from cellblock import End, Output, State
from gateway import Gateway, break_after

from scripts import FAILING, HELLO, SLOW

TELLS = """
import sys, time
def main(lines=30):
    for number in range(lines):
        print(f"line ü {number}", flush=True)
        print(f"error {number}", file=sys.stderr, flush=True)
        time.sleep(0.02)
    return lines
"""


def texts(events: list[Any], stream: str) -> str:
    return "".join(
        e.text for e in events if isinstance(e, Output) and e.stream == stream
    )


def test_output_arrives_while_the_job_runs(client: Any) -> None:
    job_id = client.submit(SLOW).job_id
    events = []
    for event in client.watch(job_id):
        events.append(event)
        if isinstance(event, Output):
            assert event.text == "begun\n"
            client.cancel(job_id)
    assert [type(event) for event in events[-2:]] == [Output, End]
    assert {event.status for event in events[:-2]} <= {"queued", "running"}
    assert events[-1].job.code == "cancelled"
    assert events[-1].job == client.get(job_id)
    assert list(client.watch(job_id, after=events[-1].id)) == []


def test_late_watch_receives_all_events(client: Any) -> None:
    done = client.run(TELLS, args={"lines": 2})
    events = list(client.watch(done.job_id))
    assert texts(events, "stdout") == done.stdout
    assert texts(events, "stderr") == done.stderr
    assert not [event for event in events if isinstance(event, State)]
    again = list(client.watch(done.job_id, after=events[0].id))
    assert again == events[1:]


def test_broken_watch_loses_and_repeats_nothing(
    faulty_client: Any, gateway: Gateway
) -> None:
    job_id = faulty_client.submit(TELLS).job_id
    gateway.faults.extend([break_after(1300), break_after(701)])
    events = list(faulty_client.watch(job_id))
    job = faulty_client.get(job_id)
    assert (job.status, job.result) == ("succeeded", 30)
    assert texts(events, "stdout") == job.stdout
    assert texts(events, "stderr") == job.stderr
    assert [type(e) for e in events].count(End) == 1
    assert len([head for head in gateway.heads if "/events" in head]) == 3


def test_watch_ends_with_the_failure(client: Any) -> None:
    *_, end = client.watch(client.submit(FAILING).job_id)
    with pytest.raises(cellblock.ScriptRaised):
        end.job.raise_for_failure()


def test_invalid_event_id_is_refused(client: Any) -> None:
    with pytest.raises(cellblock.InvalidRequest):
        list(client.watch(client.run(HELLO).job_id, after="nonsense"))
