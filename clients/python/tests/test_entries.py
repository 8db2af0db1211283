"""Scripts and cells on the real service, with both clients."""

from typing import Any

import cellblock
import pytest

PLAIN = "import sys\nprint(sys.argv[1:])\nsys.exit(len(sys.argv) - 1)"
TABLE = "import pandas as pd\ndisplay('first')\npd.DataFrame({'a': [1, 2]})"


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_script_has_arguments_and_an_exit_code(client: Any, size: int) -> None:
    files = {"f": bytes(size)}
    done = client.run(PLAIN, entry="script", files=files)
    assert (done.result, done.exit_code, done.stdout) == (None, 0, "[]\n")
    assert done.entry == "script"
    with pytest.raises(cellblock.ScriptExited) as caught:
        client.run(PLAIN, entry="script", args=["a", "é"], files=files)
    assert caught.value.outcome
    assert caught.value.outcome.exit_code == 2
    assert caught.value.stdout == "['a', 'é']\n"


def test_an_exception_of_a_script_has_the_exit_code_1(client: Any) -> None:
    with pytest.raises(cellblock.ScriptRaised) as caught:
        client.run("1 / 0", entry="script")
    assert caught.value.job
    assert caught.value.job.exit_code == 1
    assert caught.value.job.entry == "script"


def test_a_cell_has_displays(client: Any) -> None:
    done = client.run(TABLE, entry="cell")
    assert done.result == {"columns": ["a"], "index": [0, 1], "data": [[1], [2]]}
    first, table = done.displays
    assert first == cellblock.Display(
        forms=(cellblock.DisplayForm(type="text/plain", text="'first'"),)
    )
    assert table.form("text/html").text.startswith("<div>")
    assert table.form("text/plain").text == "   a\n0  1\n1  2"
    assert table.form("image/png") is None
    assert client.get(done.job_id).displays == done.displays
    assert done.displays_omitted == ()


def test_what_did_not_fit_is_listed(client: Any) -> None:
    large = "class A:\n def _repr_html_(self): return 'x' * 300_000\nA()"
    (omitted,) = client.run(large, entry="cell").displays_omitted
    assert omitted == cellblock.OmittedDisplay(
        display=1, type="text/html", bytes=300_000, limit="display_bytes"
    )


def test_entries_in_a_batch(client: Any) -> None:
    batch = client.submit_batch(
        [
            {"script": PLAIN, "entry": "script", "args": []},
            {"script": "1 + 1", "entry": "cell"},
            {"script": "1 + 1", "entry": "cell", "args": {}},
        ]
    )
    assert [member.code for member in batch.members] == [None, None, "invalid_request"]
    results = {each.index: each.job for each in client.batch_results(batch.batch_id)}
    assert (results[0].exit_code, results[1].result) == (0, 2)


def test_the_hint_of_a_missing_main(client: Any) -> None:
    with pytest.raises(cellblock.InvalidScript, match='"entry": "script"'):
        client.run("print(1)")
