"""How the script is compiled, loaded and called."""

import os
import sys
import tempfile
import unittest

from runner.script import OTHER_ENTRIES
from runner.tests.harness import main_returning, run, run_as_nobody_in

MISSING = "Script must contain a 'def main():' function"


class TestMain(unittest.TestCase):
    def test_every_way_to_have_one(self) -> None:
        for script in (
            "def main(): return 1",
            "async def main(): return 1",
            "main = lambda: 1",
            "import functools\nmain = functools.partial(int, 1)",
            "class A:\n def __call__(self): return 1\nmain = A()",
            "if True:\n def main(): return 1",
            "def f():\n global main\n def main(): return 1\nf()",
            "from operator import *\nfrom math import *\nmain = lambda: 1",
            "def main(a=1): return a",
            "import asyncio\nasync def f(): return 1\ndef main(): return f()",
            "\ufeffdef main(): return 1",
            "# -*- coding: latin-1 -*-\ndef main(): return 1",
            "def main():\r\n    return 1\r\n",
            "def main(): return 1\nif __name__ == '__main__': main = None",
        ):
            with self.subTest(script):
                self.assertEqual(run(script).result, 1)

    def test_missing_before_anything_runs(self) -> None:
        for script in ("", "x = 1", "def f():\n def main(): pass", "main: int"):
            with self.subTest(script):
                ended = run(f"print('ran')\n{script}")
                self.assertEqual(
                    ended.failure,
                    {"code": "missing_main", "message": MISSING, "hint": OTHER_ENTRIES},
                )
                self.assertEqual(ended.stdout, "")

    def test_missing_where_nothing_is_to_be_run(self) -> None:
        for script in ("", "'docstring'\nimport os\nclass A: pass", "def f(): pass"):
            with self.subTest(script):
                self.assertEqual(
                    run(script).failure, {"code": "missing_main", "message": MISSING}
                )

    def test_missing_after_the_module_ran(self) -> None:
        for script in (
            "main = 1",
            "def main(): pass\ndel main",
            "if False:\n def main(): pass",
            "for main in []: pass",
            "from math import *",
            "def main(): pass\nmain = None",
            "try: 1/0\nexcept Exception as main: pass",
        ):
            with self.subTest(script):
                ended = run(f"print('ran')\n{script}")
                self.assertEqual(ended.failure["code"], "missing_main")
                self.assertEqual(ended.failure["message"], MISSING)
                self.assertEqual(ended.stdout, "ran\n")

    def test_async(self) -> None:
        ended = run(
            "import asyncio\n"
            "async def f(n):\n await asyncio.sleep(0.01)\n return n\n"
            "async def main():\n return await asyncio.gather(f(1), f(2))"
        )
        self.assertEqual(ended.result, [1, 2])
        ended = run("async def main():\n raise ValueError('no')")
        self.assertEqual(ended.failure["message"], "ValueError: no")
        self.assertNotIn("asyncio", ended.failure["traceback"])
        self.assertIn('File "script.py", line 2, in main', ended.failure["traceback"])
        ended = run("async def main():\n raise SystemExit(4)")
        self.assertEqual(ended.failure["exit_code"], 4)

    def test_main_that_needs_arguments(self) -> None:
        failure = run("def main(a): pass").failure
        self.assertEqual(failure["code"], "exception")
        self.assertIn("TypeError: main() missing 1 required", failure["message"])
        self.assertNotIn("File", failure["traceback"])

    def test_generators_are_not_awaited(self) -> None:
        failure = run("def main(): yield 1").failure
        self.assertEqual(failure["detail"], "result: generator; use list(...)")


class TestSurroundings(unittest.TestCase):
    def test_the_module(self) -> None:
        ended = run(
            main_returning(
                "[__name__, __file__ == os.path.abspath('script.py'),"
                " sys.modules['script'].main is main, sys.argv,"
                " sys.path[0] == os.getcwd(), open('script.py').read() == SOURCE]",
                "import os, sys\nSOURCE = open(__file__).read()",
            )
        )
        self.assertEqual(
            ended.result, ["script", True, True, ["script.py"], True, True]
        )

    def test_main_is_the_script(self) -> None:
        script = main_returning(
            "[__main__ is sys.modules['script'], hasattr(__main__, 'supervisor')]",
            "import __main__, sys",
        )
        self.assertEqual(run(script).result, [True, False])

    def test_the_guard_does_not_run(self) -> None:
        ended = run("def main(): print('x')\nif __name__ == '__main__': main()")
        self.assertEqual(ended.stdout, "x\n")

    def test_nothing_of_the_runner_is_importable(self) -> None:
        script = """
import importlib
def main():
    found = []
    for name in ("runner", "runner.job", "supervisor", "job", "channel"):
        try:
            importlib.import_module(name)
            found.append(name)
        except ImportError:
            pass
    return found
"""
        self.assertEqual(run(script).result, [])

    def test_a_directory_where_nothing_can_be_written(self) -> None:
        script = "print('ran')\ndef main():\n 1/0"
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o500)
            ended = run_as_nobody_in(directory, script)
            self.assertEqual(os.listdir(directory), [])
        self.assertIn("1/0", ended.failure["traceback"])

    def test_dataclasses_pickle_inspect_find_the_module(self) -> None:
        script = """
import dataclasses, inspect, pickle, typing
@dataclasses.dataclass
class Point:
    x: "int"
def main():
    assert typing.get_type_hints(Point) == {"x": int}
    return [pickle.loads(pickle.dumps(Point(1))).x, inspect.getsource(main)[:11]]
"""
        self.assertEqual(run(script).result, [1, "def main():"])

    def test_multiprocessing(self) -> None:
        for method in ("fork", "spawn"):
            script = f"""
import multiprocessing
print("loaded", flush=True)
def double(n): return 2 * n
def main():
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        return pool.map(double, [1, 2, 3])
"""
            with self.subTest(method):
                ended = run(script)
                self.assertEqual(ended.result, [2, 4, 6])
                # Spawned children import the script; none runs the runner.
                self.assertEqual(set(ended.stdout.split()), {"loaded"})

    def test_a_subprocess_does_not_have_the_channel(self) -> None:
        script = """
import os
def main():
    os.system("ls -l /proc/self/fd > listing")
    return open("listing").read()
"""
        self.assertNotIn("socket:", run(script).result)

    def test_standard_input_is_empty(self) -> None:
        self.assertEqual(
            run(main_returning("sys.stdin.read()", "import sys")).result, ""
        )


class TestSyntaxErrors(unittest.TestCase):
    def test_where_and_what(self) -> None:
        cases = [
            ("def main(:\n  pass", 1, 10, "def main(:"),
            ("x = 1\nif x\n  pass", 2, 5, "if x"),
            ("def main():\nreturn 1", 2, 1, "return 1"),
            ("def main():\n\tx = 1\n        y = 2", 3, None, "        y = 2"),
            # The compiler finds this one after parsing.
            ("def main(): pass\nreturn 1", 2, 1, "return 1"),
            ("def main():\n  x = 'é' + break", 2, None, "  x = 'é' + break"),
            ("def main():\n    nonlocal x", 2, 5, "    nonlocal x"),
            ("def main(): pass\r\nx = (\r\n", 2, 5, "x = ("),
        ]
        for script, line, column, text in cases:
            with self.subTest(script):
                failure = run(script).failure
                self.assertEqual(failure["code"], "syntax_error")
                self.assertRegex(
                    failure["message"], r"^(Syntax|Indentation|Tab)Error: ."
                )
                self.assertEqual((failure["line"], failure["text"]), (line, text))
                if column is not None:
                    self.assertEqual(failure["column"], column)

    def test_message_as_pythons(self) -> None:
        failure = run("def main():\n    x = (1,").failure
        self.assertEqual(failure["message"], "SyntaxError: '(' was never closed")

    def test_what_compile_raises_else(self) -> None:
        for script in (
            "def main(): pass\nx = '\x00'",
            "def main(): return '\ud800'",
            "def main(): return " + "(" * 250 + ")" * 250,
            "def main(): return " + "-" * 40_000 + "1",
            "def main(): return " + "a." * 20_000 + "b",
            "x = " + "[" * 2000,
        ):
            with self.subTest(script[:40]):
                ended = run(script)
                if ended.kind == b"" and ended.wait_status & 0x7F:
                    # Some versions overflow their own stack: killed by a signal, and
                    # reported so.
                    continue
                self.assertEqual(ended.failure["code"], "syntax_error")

    def test_wins_over_a_missing_main(self) -> None:
        for script in ("x = (", "return 1"):
            self.assertEqual(run(script).failure["code"], "syntax_error")

    def test_a_syntax_error_while_it_runs_is_an_exception(self) -> None:
        for act in (
            "exec('x = (')",
            "import ast; ast.literal_eval('(')",
            "int('x', 99)",
        ):
            ended = run(f"def main():\n    {act}")
            self.assertEqual(ended.failure["code"], "exception")
        failure = run("exec('1 +')\ndef main(): pass").failure
        self.assertEqual(failure["message"], "SyntaxError: invalid syntax")

    def test_long_expressions_compile_as_in_python(self) -> None:
        # More terms than a syntax tree of Python objects can have to be compiled.
        for terms in (900, 2500):
            script = main_returning(
                " + ".join(["1"] * terms).replace("1", "a"), "a = 1"
            )
            self.assertEqual(run(script).result, terms)
            script = f"a = 1\nx = {' + '.join(['a'] * terms)}\nmain = lambda: x"
            self.assertEqual(run(script).result, terms)

    def test_warnings_are_printed_once(self) -> None:
        for way in ("def main(): return", "main = lambda:"):
            ended = run(f"{way} 1 is 1")
            self.assertEqual(ended.stderr.count("SyntaxWarning"), 1, ended.stderr)
            self.assertTrue(ended.stderr.startswith("script.py:1: "))

    @unittest.skipIf(sys.version_info < (3, 12), "not shown before Python 3.12")
    def test_the_parsers_warnings_are_printed_once(self) -> None:
        for way in ("def main(): return", "main = lambda:"):
            ended = run(f"{way} '\\d'")
            self.assertEqual(ended.stderr.count("SyntaxWarning"), 1, ended.stderr)

    def test_no_future_of_the_runners_is_inherited(self) -> None:
        script = main_returning(
            "[f.__annotations__['a'] is int]", "def f(a: int): pass"
        )
        self.assertEqual(run(script).result, [True])
