"""Files that go on from job to job, with both clients."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cellblock
import pytest
from cellblock import FileRef

COPY = """
import os

def main(out):
    text = open("in.csv").read() + open("more/b.csv").read()
    open("outputs/" + out, "w").write(text)
    return text
"""


def test_a_stored_file_goes_into_jobs(client: Any, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    stored = client.upload_file(tmp_path / "data.csv")
    assert (stored.name, stored.size, stored.media_type) == ("data.csv", 4, "text/csv")
    left = stored.expires_at - datetime.now(timezone.utc)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    files = {"in.csv": stored.ref, "more/b.csv": "1,2\n"}
    first = client.run(COPY, args={"out": "d.csv"}, files=files)
    assert first.result == "a,b\n1,2\n"
    large = {"large": b"x" * (1 << 20)}  # which makes it a form
    again = {
        "in.csv": FileRef(job_id=first.job_id, name="d.csv"),
        "more/b.csv": FileRef(file_id=stored.file_id),
    }
    second = client.run(COPY, args={"out": "e.csv"}, files={**large, **again})
    assert second.result == "a,b\n1,2\na,b\n"
    assert client.download_file(stored.file_id) == b"a,b\n"
    assert client.delete_file(stored.file_id) is None
    with pytest.raises(cellblock.NotFound, match="no such file"):
        client.download_file(stored.file_id)
    with pytest.raises(cellblock.NotFound) as missing:
        client.run(COPY, args={"out": "e.csv"}, files=files)
    assert missing.value.code == "file_not_found"
    assert '"in.csv" refers to a stored file' in str(missing.value)


def test_a_batch_has_stored_files(client: Any) -> None:
    stored = client.upload_file("x\n", name="x.csv", media_type="text/plain")
    assert stored.media_type == "text/plain"
    files = {"in.csv": stored.ref, "more/b.csv": stored.ref}
    job = {"script": COPY, "args": {"out": "o"}, "files": files}
    batch = client.submit_batch([job, job])
    results = list(client.batch_results(batch.batch_id))
    assert [each.job.result for each in results] == ["x\nx\n"] * 2


def test_a_reference_is_to_one_file() -> None:
    for wrong in ({}, {"job_id": "a"}, {"name": "a"}, {"file_id": "f", "name": "a"}):
        with pytest.raises(ValueError, match="job_id and name, or file_id"):
            FileRef(**wrong)
