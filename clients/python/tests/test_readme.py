"""The examples of README.md run, and print what it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from service import ROOT, TOKEN, Service

FOLDER = Path(__file__).resolve().parents[1]
README = (FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"^## (.*?)$.*?```python\n(.*?)```\n+```text\n(.*?)```", README, re.M | re.S
)
TITLES = [block[0] for block in BLOCKS]


def test_all_examples_are_found() -> None:
    assert len(BLOCKS) == README.count("```python") == 10


def printed(service: Service, example: str) -> list[str]:
    """Run an example, and return the lines that it prints."""
    assert "http://127.0.0.1:8080" in example
    run = subprocess.run(
        [sys.executable, "-c", example.replace("http://127.0.0.1:8080", service.url)],
        env={"PYTHONPATH": str(FOLDER / "src"), "CELLBLOCK_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stderr == ""
    return [line.rstrip() for line in run.stdout.splitlines() if line.strip()]


@pytest.mark.parametrize(("example", "output"), [b[1:] for b in BLOCKS], ids=TITLES)
def test_example(service: Service, example: str, output: str) -> None:
    assert printed(service, example) == output.splitlines()


def test_the_example_of_the_whole_project(service: Service) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition("\n## Python client\n")[2].partition("\n## ")[0]
    example = section.partition("```python\n")[2].partition("```")[0]
    lines = printed(service, example)
    assert lines[:2] == ["49", "working"]
    assert lines[-1] == "ZeroDivisionError: division by zero"
