"""Scripts that run as a program does: entry "script"."""

import json
import os
import socket
import tempfile
import unittest
from typing import Any

from runner.tests.harness import TIMEOUT, Outcome, Runner, run


def run_program(script: str, *args: str, **inputs: Any) -> Outcome:
    """Run a script as a program."""
    return run(script, inputs={"entry": "script", "args": [*args], **inputs})


class Program(unittest.TestCase):
    def assert_prints(self, script: str, want: str, *args: str) -> None:
        ended = run_program(script, *args)
        self.assertEqual((ended.kind, ended.payload), (b"R", b"null"), ended.stderr)
        self.assertEqual(ended.stdout, want, ended.stderr)

    def test_it_is_main(self) -> None:
        self.assert_prints(
            "import sys, __main__\n"
            "x = 1\n"
            "if __name__ == '__main__':\n"
            "    print(__main__.x, sys.argv, __file__.endswith('/script.py'))\n"
            "    print(__spec__, 'script' in sys.modules, 'runner' in sys.modules)\n",
            "1 ['script.py', 'a', '-b'] True\nNone False False\n",
            "a",
            "-b",
        )

    def test_nothing_is_shown_or_returned(self) -> None:
        for script in ("", "1", "def main(): print('no')", "main = 1", "'''text'''"):
            with self.subTest(script):
                self.assert_prints(script, "")
        ended = run_program("display(1)")
        self.assertEqual(
            ended.failure["message"], "NameError: name 'display' is not defined"
        )

    def test_exits(self) -> None:
        for end in ("sys.exit()", "sys.exit(0)", "exit(None)", "raise SystemExit"):
            with self.subTest(end):
                self.assert_prints(f"import sys\nprint('x')\n{end}\nprint('y')", "x\n")
        for end, code, stderr in (
            ("sys.exit(3)", 3, ""),
            ("sys.exit(256 + 7)", 7, ""),
            ("sys.exit(-1)", 255, ""),
            ("sys.exit('bad')", 1, "bad\n"),
            ("raise SystemExit(True)", 1, ""),
        ):
            with self.subTest(end):
                ended = run_program(f"import sys\n{end}")
                self.assertEqual(
                    ended.failure,
                    {
                        "code": "exit",
                        "message": f"the script exited with code {code}",
                        "exit_code": code,
                    },
                )
                self.assertEqual(ended.stderr, stderr)

    def test_no_report_without_the_runner(self) -> None:
        for end, status in (("os._exit(0)", 0), ("os._exit(3)", 3 << 8)):
            with self.subTest(end):
                ended = run_program(f"import os\n{end}")
                self.assertEqual((ended.kind, ended.wait_status), (b"", status))
        ended = run_program("import os\nos.kill(os.getpid(), 9)")
        self.assertEqual((ended.kind, ended.wait_status), (b"", 9))

    def test_the_traceback_has_the_scripts_lines_only(self) -> None:
        ended = run_program(
            "import json\n"
            "class Bad(Exception): pass\n"
            "def f(text):\n"
            "    try:\n"
            "        json.loads(text)\n"
            "    except ValueError as e:\n"
            "        raise Bad('x') from e\n"
            "f('{')\n"
        )
        self.assertEqual(ended.failure["message"], "Bad: x")
        trace = ended.failure["traceback"]
        names = [line for line in trace.splitlines() if line.startswith("  File ")]
        self.assertEqual(
            names,
            [
                '  File "script.py", line 5, in f',
                '  File "script.py", line 8, in <module>',
                '  File "script.py", line 7, in f',
            ],
        )
        self.assertIn("    f('{')\n", trace)

    def test_syntax_errors(self) -> None:
        ended = run_program("x = 1\ndef f(:\n    pass\n")
        self.assertEqual(ended.failure["code"], "syntax_error")
        self.assertEqual((ended.failure["line"], ended.failure["column"]), (2, 7))
        ended = run_program("await x")
        self.assertEqual(
            ended.failure["message"], "SyntaxError: 'await' outside function"
        )

    def test_unittest_and_doctest(self) -> None:
        tests = (
            "import unittest\n"
            "class T(unittest.TestCase):\n"
            "    def test_a(self): self.assertEqual(1, {})\n"
            "if __name__ == '__main__': unittest.main()\n"
        )
        ended = run_program(tests.format("1"))
        self.assertEqual(ended.payload, b"null")
        self.assertIn("Ran 1 test", ended.stderr)
        self.assertEqual(run_program(tests.format("2")).failure["exit_code"], 1)
        self.assert_prints(
            "'''\n>>> 1 + 1\n2\n'''\nimport doctest\nprint(doctest.testmod())",
            "TestResults(failed=0, attempted=1)\n",
        )

    def test_argparse(self) -> None:
        script = (
            "import argparse\n"
            "p = argparse.ArgumentParser()\n"
            "p.add_argument('n', type=int)\n"
            "print(p.parse_args().n + 1)\n"
        )
        self.assert_prints(script, "42\n", "41")
        ended = run_program(script, "x")
        self.assertEqual(ended.failure["exit_code"], 2)
        self.assertIn("script.py: error: argument n: invalid int", ended.stderr)

    def test_objects_that_are_found_through_their_module(self) -> None:
        self.assert_prints(
            "import dataclasses, pickle, typing, asyncio, enum\n"
            "@dataclasses.dataclass\n"
            "class A:\n"
            "    x: 'int' = 1\n"
            "class E(enum.Enum):\n"
            "    a = 1\n"
            "async def f(): return 5\n"
            "if __name__ == '__main__':\n"
            "    print(*pickle.loads(pickle.dumps([A(2), E.a])))\n"
            "    print(typing.get_type_hints(A), asyncio.run(f()), A.__module__)\n",
            "A(x=2) E.a\n{'x': <class 'int'>} 5 __main__\n",
        )

    def test_multiprocessing(self) -> None:
        for method in ("fork", "spawn"):
            with self.subTest(method):
                self.assert_prints(
                    "import multiprocessing as m\n"
                    "def double(x): return x * 2\n"
                    "def put(q): q.put(double(21))\n"
                    "if __name__ == '__main__':\n"
                    f"    m.set_start_method('{method}')\n"
                    "    q = m.SimpleQueue()\n"
                    "    p = m.Process(target=put, args=(q,))\n"
                    "    p.start()\n"
                    "    print(q.get(), flush=True)\n"
                    "    p.join()\n"
                    "    print(p.exitcode)\n",
                    "42\n0\n",
                )

    def test_the_end_waits_for_threads_and_children(self) -> None:
        ended = run_program(
            "import threading, time, atexit\n"
            "from concurrent.futures import ThreadPoolExecutor\n"
            "def work(n): time.sleep(.1); print(n)\n"
            "atexit.register(print, 'exit')\n"
            "threading.Thread(target=work, args=(1,)).start()\n"
            "ThreadPoolExecutor(1).submit(work, 2)\n"
            "print(0)\n"
            "raise SystemExit(4)\n"
        )
        lines = ended.stdout.splitlines()
        self.assertEqual((lines[0], sorted(lines[1:3])), ("0", ["1", "2"]))
        self.assertEqual(lines[3:], ["exit"])
        self.assertEqual(ended.failure["exit_code"], 4)
        ended = run_program(
            "import multiprocessing, time\n"
            "def work(): time.sleep(.1); print('child', flush=True)\n"
            "multiprocessing.get_context('fork').Process(target=work).start()\n"
        )
        self.assertEqual((ended.payload, ended.stdout), (b"null", "child\n"))

    def test_a_copy_ends_as_python_would(self) -> None:
        for end, code in (("pass", 0), ("sys.exit(3)", 3), ("1 / 0", 1)):
            with self.subTest(end):
                ended = run_program(
                    "import os, sys, atexit\n"
                    "atexit.register(lambda: print('exit', flush=True))\n"
                    "if pid := os.fork():\n"
                    "    status = os.waitpid(pid, 0)[1]\n"
                    "    print(os.waitstatus_to_exitcode(status), flush=True)\n"
                    f"else:\n    {end}\n"
                )
                self.assertEqual(ended.payload, b"null")
                self.assertEqual(ended.stdout, f"exit\n{code}\nexit\n")

    def test_deprecations_are_shown(self) -> None:
        ended = run_program(
            "import warnings\nwarnings.warn('old', DeprecationWarning)\n"
        )
        self.assertIn("script.py:2: DeprecationWarning: old\n", ended.stderr)

    def test_finalizers_run(self) -> None:
        self.assert_prints(
            "class A:\n    def __del__(self): print('gone', a)\na, b = 1, A()\n",
            "gone 1\n",
        )

    def test_stdin(self) -> None:
        ended = run_program("print(int(input()) + 1)", stdin="41\n")
        self.assertEqual((ended.payload, ended.stdout), (b"null", "42\n"))
        ended = run_program("input()")
        self.assertEqual(ended.failure["message"], "EOFError: EOF when reading a line")

    def test_an_unknown_entry(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            runner = Runner(directory)
            runner.receive()
            job = {"script": "", "entry": "later"}
            runner.send(b"J", json.dumps(job).encode())
            self.assertEqual(runner.receive()[0], b"")
            self.assertEqual(
                runner.finish()[1], b"runner: ValueError: an entry 'later'\n"
            )

    def test_a_thread_that_never_ends_is_ended_early(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            runner = Runner(directory)
            runner.receive()
            script = (
                "import os, threading\n"
                "print('kept', end='')\n"
                "threading.Thread(target=lambda: open('fifo').read()).start()\n"
            )
            os.mkfifo(f"{directory}/fifo")
            job = {"script": script, "entry": "script"}
            runner.send(b"J", json.dumps(job).encode())
            # This returns once the thread has opened it too.
            with open(f"{directory}/fifo", "w"):
                runner.channel.shutdown(socket.SHUT_WR)
                runner.process.wait(TIMEOUT)
            self.assertEqual(runner.finish()[0], b"kept")
