"""Scripts that run as a notebook's cell does: entry "cell"."""

import unittest
from typing import Any

from runner.cell import NO_COMMANDS
from runner.tests.harness import Outcome, run
from runner.tests.test_hostile import ACTS

# What a cell may do to the function or to what the runner uses, and still end.
CELL_ACTS = [
    *(act for act in ACTS if "'script.py'" not in act and "['script']" not in act),
    "display = None",
    "import builtins; builtins.display = None",
    "import builtins; del builtins.display",
    "import sys; sys.displayhook = None",
    "display.__closure__[0].cell_contents._displays = None",
    "display(1, include=5)",
    "import linecache; linecache.cache.clear()",
]


def run_cell(script: str, **options: Any) -> Outcome:
    """Run a script as a cell."""
    return run(script, inputs={"entry": "cell"}, **options)


class Cell(unittest.TestCase):
    def test_the_last_expression_is_the_result(self) -> None:
        for script, result, plain in (
            ("1 + 1", 2, "2"),
            ("x = 5\nx", 5, "5"),
            ("x = 5; x", 5, "5"),
            ("'a'", "a", "'a'"),
            ("[\n 1,\n 2\n]  # why", [1, 2], "[1, 2]"),
            ("(\n3\n)\n\n# the end\n", 3, "3"),
            ("{'a': (1,)}", {"a": [1]}, "{'a': (1,)}"),
            ("from __future__ import annotations\n1.0", 1.0, "1.0"),
            ("\ufeff7", 7, "7"),
            ("# -*- coding: latin-1 -*-\n'é'", "é", "'é'"),
            ("1\r\n2\r\n", 2, "2"),
            ("'''doc'''", "doc", "'doc'"),
            ("False", False, "False"),
            ("def main(): return 1\nmain()", 1, "1"),
        ):
            with self.subTest(script):
                ended = run_cell(script)
                self.assertEqual(ended.result, result)
                self.assertEqual(ended.displays, [{"text/plain": {"text": plain}}])
                self.assertEqual(ended.notes, [])

    def test_nothing_is_shown(self) -> None:
        for script in (
            "",
            "# nothing",
            "x = 1",
            "None",
            "print('p')",
            "x = 1;",
            "1;",
            "1 ;  # a comment; or two",
            "1; # 2\n# 3\n\n",
            "'é';",
            "(\n1\n)\\\n;",
            "for i in range(3): i",
            "if True:\n    5",
            "def f(): return 1",
            "import asyncio\nawait asyncio.sleep(0, 5);",
        ):
            with self.subTest(script):
                ended = run_cell(script)
                self.assertIsNone(ended.result)
                self.assertEqual((ended.displays, ended.notes), ([], []))

    def test_a_semicolon_inside_is_none(self) -> None:
        for script in ("';'", "'a'  # ;", "x = 1; '#;'", "f'{1};'"):
            with self.subTest(script):
                self.assertEqual(len(run_cell(script).displays), 1)

    def test_await(self) -> None:
        for script, result in (
            ("import asyncio\nawait asyncio.sleep(0, 5)", 5),
            ("import asyncio\nx = await asyncio.sleep(0, 5)\nx + 1", 6),
            ("async def f(): return 3\n[await f() for _ in range(2)]", [3, 3]),
            ("async def g():\n yield 1\n yield 2\n[x async for x in g()]", [1, 2]),
            (
                "async def g():\n yield 1\nasync for x in g():\n    y = x\ny",
                1,
            ),
            (
                (
                    "import contextlib\n@contextlib.asynccontextmanager\n"
                    "async def c():\n yield 4\nasync with c() as x:\n    pass\nx"
                ),
                4,
            ),
            ("import asyncio\nasync def f(): return 3\nasyncio.run(f())", 3),
            (
                (
                    "import asyncio\nasync def f(): return 1\n"
                    "t = asyncio.create_task(f())\nawait t"
                ),
                1,
            ),
            (
                (
                    "from __future__ import annotations\nimport asyncio\n"
                    "await asyncio.sleep(0)\n2"
                ),
                2,
            ),
        ):
            with self.subTest(script):
                self.assertEqual(run_cell(script).result, result)

    def test_a_coroutine_that_is_not_awaited(self) -> None:
        ended = run_cell("async def f(): pass\nf()")
        self.assertIsNone(ended.result)
        self.assertIn("<coroutine object f at", str(ended.displays))
        self.assertIn("has no JSON: result: coroutine", ended.notes[0])

    def test_the_module(self) -> None:
        ended = run_cell(
            "import sys, __main__\nx = 1\n"
            "[__name__, __main__.x, sys.argv, 'script' in sys.modules,\n"
            " 'runner' in sys.modules, '__file__' in globals(),\n"
            " type('A', (), {}).__module__]"
        )
        self.assertEqual(
            ended.result, ["__main__", 1, ["cell"], False, False, False, "__main__"]
        )
        ended = run_cell(
            "import os, inspect, pickle\nclass A: pass\n"
            "def f(): return 1\n"
            "[os.listdir(), inspect.getsource(f), type(pickle.loads(pickle.dumps(A())))"
            ".__name__]"
        )
        names, source, name = ended.result
        self.assertEqual(sorted(names), [".tmp", "outputs"])
        self.assertEqual((source, name), ("def f(): return 1\n", "A"))

    def test_errors(self) -> None:
        ended = run_cell("print(1)\ndef f():\n    1 / 0\nf()\nprint(2)")
        self.assertEqual(ended.stdout, "1\n")
        self.assertEqual(
            [
                line
                for line in ended.failure["traceback"].splitlines()
                if not line.strip().startswith("~")
            ],
            [
                "Traceback (most recent call last):",
                '  File "cell", line 4, in <module>',
                "    f()",
                '  File "cell", line 3, in f',
                "    1 / 0",
                "ZeroDivisionError: division by zero",
            ],
        )
        ended = run_cell("import asyncio\nawait asyncio.sleep(0)\n\n1 / 0\n5")
        self.assertIn('  File "cell", line 4, in <module>', ended.failure["traceback"])
        self.assertEqual(ended.failure["traceback"].count("  File "), 1)

    def test_ipython_is_missing(self) -> None:
        ended = run_cell("from IPython.display import display, HTML")
        self.assertEqual(
            ended.failure["message"],
            "ModuleNotFoundError: No module named 'IPython'",
        )
        self.assertIn("display() is there without", ended.failure["hint"])

    def test_exits(self) -> None:
        ended = run_cell("import sys\ndisplay(1)\nsys.exit()")
        self.assertEqual(
            ended.failure,
            {
                "code": "exit",
                "message": "the script exited with code 0",
                "exit_code": 0,
            },
        )
        self.assertEqual(len(ended.displays), 1)

    def test_syntax_errors(self) -> None:
        for script, line, column in (
            ("x = 1\ndef f(:\n", 2, 7),
            ("x = 1\nreturn 5", 2, 1),
            ("x = 1\ndef f():\n    await x\n", 3, 5),
            ("1 +", 1, 4),
            ("  x = 1", 1, 2),
        ):
            with self.subTest(script):
                report = run_cell(script).failure
                self.assertEqual(report["code"], "syntax_error")
                self.assertEqual((report["line"], report["column"]), (line, column))
                self.assertIn("text", report)
                self.assertNotIn("hint", report)
        for script in ("\0", "\ud800 = 1", "(" * 1000 + ")" * 1000):
            with self.subTest(script[:10]):
                self.assertEqual(run_cell(script).failure["code"], "syntax_error")

    def test_commands_of_ipython(self) -> None:
        for script in (
            "%matplotlib inline\nimport os",
            "import os\n!pip install x",
            "%%time\n1",
            "files = !ls",
            "t = %timeit -o 1",
            "print?",
            "?print",
            "if True:\n    !ls\n",
        ):
            with self.subTest(script):
                report = run_cell(script).failure
                self.assertEqual(report["code"], "syntax_error")
                self.assertEqual(report["hint"], NO_COMMANDS)

    def test_a_result_without_json(self) -> None:
        ended = run_cell("x = {1}\nx")
        self.assertIsNone(ended.result)
        self.assertEqual(ended.displays, [{"text/plain": {"text": "{1}"}}])
        self.assertEqual(
            ended.notes,
            [
                (
                    "result is null, since the last expression's value has no JSON: "
                    "result: set; use list(...)"
                )
            ],
        )
        ended = run_cell("[float('nan')]")
        self.assertEqual(ended.result, [None])
        self.assertEqual(ended.notes, ["result[0]: NaN became null"])

    def test_a_result_that_is_too_large(self) -> None:
        ended = run_cell("'x' * 1000", max_bytes=900)
        self.assertIsNone(ended.result)
        note = (
            "result is null, since the last expression's value has a JSON of more than "
            "900 bytes"
        )
        self.assertEqual(ended.notes, [note])
        self.assertEqual(len(ended.displays[0]["text/plain"]["text"]), 1002)

    def test_warnings_show_their_line(self) -> None:
        ended = run_cell(
            "import warnings\nwarnings.warn('old', DeprecationWarning)\n"
            "open('/dev/null') is 5\n"
        )
        self.assertIn(
            "cell:2: DeprecationWarning: old\n"
            "  warnings.warn('old', DeprecationWarning)\n",
            ended.stderr,
        )
        self.assertEqual(ended.stderr.count("SyntaxWarning"), 1)

    def test_a_copy_ends_as_python_would(self) -> None:
        for end, code in (("5", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1)):
            with self.subTest(end):
                ended = run_cell(
                    "import os\n"
                    "if pid := os.fork():\n"
                    "    status = os.waitpid(pid, 0)[1]\n"
                    "else:\n"
                    f"    display(1)\n    {end}\n"
                    "os.waitstatus_to_exitcode(status) if pid else None\n"
                )
                self.assertEqual(ended.result, code)
                self.assertEqual(len(ended.displays), 1)

    def test_hostile(self) -> None:
        for act in CELL_ACTS:
            for end in ("5", "1 / 0"):
                with self.subTest(act=act, end=end):
                    ended = run_cell(
                        f"def f(): 1/0\ntry:\n    {act}\nexcept BaseException:\n"
                        f"    pass\n{end}"
                    )
                    if end == "5":
                        self.assertEqual(ended.result, 5)
                    else:
                        self.assertIn("ZeroDivisionError", ended.failure["message"])

    def test_a_closed_channel(self) -> None:
        ended = run_cell("import os\nos.closerange(3, 99)\ndisplay(1)\n5")
        self.assertEqual((ended.kind, ended.wait_status), (b"", 0))
