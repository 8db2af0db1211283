"""The examples of README.md run, and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from service import TOKEN, Service

FOLDER = Path(__file__).resolve().parents[1]
README = (FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^## (.*?)$.*?```python\n(.*?)```\n+```text\n(.*?)```", README, re.M | re.S
)


def test_all_examples_are_found() -> None:
    assert len(BLOCKS) == README.count("```python") == 6


@pytest.mark.parametrize(
    ("title", "example", "output"), BLOCKS, ids=[b[0] for b in BLOCKS]
)
def test_example(service: Service, title: str, example: str, output: str) -> None:
    assert "http://127.0.0.1:8080" in example, title
    run = subprocess.run(
        [sys.executable, "-c", example.replace("http://127.0.0.1:8080", service.url)],
        env={"PYTHONPATH": str(FOLDER / "src"), "CELLBLOCK_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line.rstrip() for line in run.stdout.splitlines() if line.strip()]
    assert (run.stderr, lines) == ("", output.splitlines())
