"""SandboxFusion's own client calls the door of the service."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest
import sandbox_fusion as fusion
from cellblock import Client
from service import ROOT, TOKEN, Service


@pytest.fixture(scope="module", autouse=True)
def endpoint(service: Service) -> str:
    url = service.url.replace("http://", f"http://any:{TOKEN}@")
    url += "/compat/sandboxfusion"
    fusion.set_endpoint(url)
    return url


def request(code: str, **fields: Any) -> Any:
    return fusion.RunCodeRequest(**{"code": code, "language": "python", **fields})


def run(code: str, **fields: Any) -> Any:
    return fusion.run_code(request(code, **fields), max_attempts=1)


VERDICTS = fusion.SummaryMapping(Success="ok", RunFailed="failed", RunTimeout="late")


@pytest.mark.parametrize(
    ("code", "verdict", "exit_code"),
    [
        ("print(1)", "ok", 0),
        ("if __name__ == '__main__':\n    raise SystemExit(3)", "failed", 3),
        ("1 / 0", "failed", 1),
        ("def f(:", "failed", 1),
        ("import os; os.kill(os.getpid(), 11)", "failed", -11),
        ("x = b'x' * (1 << 30)", "failed", -9),
        ("while True: pass", "late", None),
    ],
)
def test_verdicts(code: str, verdict: str, exit_code: int | None) -> None:
    answer = run(code, run_timeout=2)
    assert fusion.summary_run_code_result(answer, VERDICTS) == verdict
    assert answer.run_result.return_code == exit_code
    assert answer.run_result.execution_time < 8
    assert answer.compile_result is None


def test_input_and_output() -> None:
    answer = run("import sys\nprint(input())\nprint('é', file=sys.stderr)", stdin="hi")
    assert answer.status == fusion.RunStatus.Success
    assert (answer.run_result.stdout, answer.run_result.stderr) == ("hi\n", "é\n")
    answer = run("print('so far')\nint('x')")
    assert answer.run_result.stdout == "so far\n"
    assert answer.run_result.stderr.startswith("Traceback (most recent call last):\n")
    assert answer.run_result.stderr.endswith("'x'\n")


def test_files() -> None:
    code = "open('out/a.bin', 'wb').write(open('in/b.bin', 'rb').read()[::-1])"
    content = bytes(range(256)) * 2_000
    answer = run(
        "import os\nos.mkdir('out')\n" + code,
        files={"in/b.bin": base64.b64encode(content).decode(), "none": None},
        fetch_files=["out/a.bin", "./in/b.bin", "none", "/etc/hostname"],
    )
    fetched = {name: base64.b64decode(text) for name, text in answer.files.items()}
    assert fetched == {"out/a.bin": content[::-1]}
    assert '"./in/b.bin"' in answer.message


def test_a_call_waits_longer_than_a_request_to_execute() -> None:
    answer = run("import time; time.sleep(2.5); print('done')")
    assert answer.run_result.stdout == "done\n"


def test_other_languages_are_refused() -> None:
    with pytest.raises(
        Exception, match=r'code 400: .*SandboxError.*"language'
    ) as caught:
        run("puts 1", language="ruby")
    assert "runs" in str(caught.value)


def test_the_token_is_checked(service: Service) -> None:
    with pytest.raises(Exception, match=r"code 401: .*SandboxError"):
        fusion.run_code(
            request("1"), endpoint=f"{service.url}/compat/sandboxfusion", max_attempts=1
        )


def test_128_clients_at_once() -> None:
    calls = [[request(f"print(int(input()) + {n})", stdin=str(n))] for n in range(512)]
    once = [{"max_attempts": 1}] * len(calls)
    answers = fusion.run_concurrent(fusion.run_code, calls, once, concurrency=128)
    outputs = [answer.run_result.stdout for answer in answers]
    assert outputs == [f"{2 * n}\n" for n in range(512)]


def test_asyncio() -> None:
    async def call() -> list[Any]:
        return await asyncio.gather(
            *(fusion.run_code_async(request(f"print({n})")) for n in range(8))
        )

    outputs = [answer.run_result.stdout for answer in asyncio.run(call())]
    assert outputs == [f"{n}\n" for n in range(8)]


def test_a_client_that_gives_up_ends_its_job(service: Service) -> None:
    code = "import time; time.sleep(7)"
    with pytest.raises(Exception, match="Read timed out"):
        fusion.run_code(request(code), max_attempts=1, client_timeout=1)
    with Client(service.url, token=TOKEN) as client:
        latest = next(iter(client.list()))
        began = time.monotonic()
        assert client.wait(latest.job_id, timeout=30).status == "cancelled"
    assert time.monotonic() - began < 5


def test_the_example_of_the_documentation(
    endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "sandboxfusion.md").read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    output = text.partition("```text\n")[2].partition("```")[0]
    url = "http://127.0.0.1:8080/compat/sandboxfusion"
    assert url in example
    exec(compile(example.replace(url, endpoint), "example", "exec"), {})
    assert capsys.readouterr().out == output
