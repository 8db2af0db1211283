"""Inputs of a job beside its script."""

import unittest
from typing import Any

from .harness import main_returning, run


class Inputs(unittest.TestCase):
    """Arguments, standard input, environment, limits."""

    def test_nothing_is_given(self) -> None:
        script = main_returning(
            "[sys.stdin.read(), sorted(k for k in os.environ if k == 'A')]",
            "import os, sys",
        )
        self.assertEqual(run(script).result, ["", []])

    def test_args(self) -> None:
        script = "def main(a, *, b=2):\n    return [a, b]\n"
        self.assertEqual(run(script, inputs={"args": {"a": 1.5}}).result, [1.5, 2])

    def test_args_that_are_not_taken(self) -> None:
        script = "def main(a):\n    return a\n"
        told = run(script, inputs={"args": {"b": 1}}).failure
        self.assertEqual(told["code"], "args_mismatch")
        self.assertIn("it is main(a)", told["message"])

    def test_args_for_what_has_no_signature(self) -> None:
        script = "main = dict\n"
        self.assertEqual(run(script, inputs={"args": {"b": 1}}).result, {"b": 1})

    def test_a_signature_that_raises(self) -> None:
        script = (
            "class Main:\n    def __call__(self, a): return a\n"
            "    @property\n    def __signature__(self): raise KeyError('x')\n"
            "main = Main()\n"
        )
        told = run(script, inputs={"args": {"a": 1}}).failure
        self.assertEqual(told["code"], "exception")

    def test_stdin(self) -> None:
        script = main_returning("[input(), sys.stdin.read()]", "import sys")
        ended = run(script, inputs={"stdin": "é\nrest"})
        self.assertEqual(ended.result, ["é", "rest"])

    def test_env(self) -> None:
        script = main_returning("os.environ['A']", "import os")
        self.assertEqual(run(script, inputs={"env": {"A": "é"}}).result, "é")

    def test_rlimits_are_lowered_for_good(self) -> None:
        expression = "resource.getrlimit(resource.RLIMIT_CORE)"
        script = main_returning(expression, "import resource")
        inputs: dict[str, Any] = {"rlimits": {"4": 0}}
        self.assertEqual(run(script, inputs=inputs).result, [0, 0])
