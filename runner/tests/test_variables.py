"""Variables of a request that the interpreter read before."""

import tempfile
import unittest
from pathlib import Path
from typing import Any

from .harness import main_returning, run


def _with(script: str, **env: str) -> list[Any]:
    ended = run(script, inputs={"env": env})
    return [ended.result, ended.stdout, ended.stderr]


class Variables(unittest.TestCase):
    """Each takes effect, or its error is reported."""

    def test_time_zone(self) -> None:
        script = main_returning("time.tzname[0]", "import time")
        self.assertEqual(_with(script, TZ="ABC-3"), ["ABC", "", ""])

    def test_path(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            script = main_returning("sys.path[1]", "import sys")
            self.assertEqual(_with(script, PYTHONPATH=folder), [folder, "", ""])

    def test_warnings(self) -> None:
        script = "import warnings\nwarnings.warn('x')\ndef main(): return 1"
        self.assertEqual(_with(script, PYTHONWARNINGS="ignore"), [1, "", ""])
        *_, stderr = _with(script, PYTHONWARNINGS="odd,ignore")
        self.assertIn("Invalid -W option ignored: invalid action: 'odd'", stderr)

    def test_code_that_a_variable_runs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "own.py").write_text(
                "import resource\n"
                "limits = [resource.getrlimit(n) for n in (1, 7)]\n"
                "class Odd(Warning): pass\n"
            )
            Path(folder, "ends.py").write_text("raise SystemExit(3)")
            env = {"PYTHONPATH": folder, "PYTHONWARNINGS": "ignore::own.Odd"}
            inputs = {"env": env, "file_bytes": 4096, "rlimits": {"7": 99}}
            script = main_returning("own.limits", "import own")
            ended = run(script, inputs=inputs)
            self.assertEqual(ended.result, [[4096, 4096], [99, 99]])
            env["PYTHONWARNINGS"] = "ignore::ends.Odd"
            ended = run(main_returning("1"), inputs={"env": env})
            self.assertEqual(ended.result, 1)
            self.assertEqual(ended.stderr, "PYTHONWARNINGS: SystemExit: 3\n")

    def test_unbuffered(self) -> None:
        script = "import os\nprint('a', end='')\nos.kill(os.getpid(), 9)\nmain = 1"
        ended = run(script, inputs={"env": {"PYTHONUNBUFFERED": "1"}})
        self.assertEqual(ended.stdout, "a")

    def test_encoding_errors(self) -> None:
        script = "def main(): print('\\udfff')"
        self.assertEqual(
            _with(script, PYTHONIOENCODING="utf-8:backslashreplace"),
            [None, "\\udfff\n", ""],
        )

    def test_bytecode(self) -> None:
        script = main_returning("sys.dont_write_bytecode", "import sys")
        self.assertEqual(_with(script, PYTHONDONTWRITEBYTECODE=""), [False, "", ""])

    def test_arguments_in_another_normal_form(self) -> None:
        script = "def main(\u00e9, **more): return [\u00e9, sorted(more)]"
        args = {"e\u0301": 1, "o\u0308": 2}
        self.assertEqual(run(script, inputs={"args": args}).result, [1, ["o\u0308"]])
        args = {"e\u0301": 1, "\u00e9": 2}
        self.assertEqual(run(script, inputs={"args": args}).result, [2, ["e\u0301"]])
