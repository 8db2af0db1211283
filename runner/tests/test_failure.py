"""Reports of exceptions and exits."""

import sys
import unittest

from runner.tests.harness import Outcome, run

HEAD = "Traceback (most recent call last):\n"


class TestTraceback(unittest.TestCase):
    def test_the_users_own_lines(self) -> None:
        ended = run(
            "def f(x):\n    return 1 / x\n\ndef main():\n    return f(0)  # é\n"
        )
        self.assertEqual(ended.failure["code"], "exception")
        self.assertEqual(
            ended.failure["message"], "ZeroDivisionError: division by zero"
        )
        trace = ended.failure["traceback"]
        lines = [line for line in trace.splitlines() if set(line) - set(" ~^")]
        self.assertEqual(
            lines,
            [
                "Traceback (most recent call last):",
                '  File "script.py", line 5, in main',
                "    return f(0)  # é",
                '  File "script.py", line 2, in f',
                "    return 1 / x",
                "ZeroDivisionError: division by zero",
            ],
        )
        self.assertNotIn("hint", ended.failure)

    def test_while_loading(self) -> None:
        failure = run("import nothing_like_it\ndef main(): pass").failure
        self.assertEqual(
            failure["message"], "ModuleNotFoundError: No module named 'nothing_like_it'"
        )
        self.assertIn("line 1, in <module>\n    import nothing", failure["traceback"])

    def test_no_frames_of_libraries(self) -> None:
        trace = run("import json\ndef main(): json.loads('{')").failure["traceback"]
        self.assertEqual(trace.count("File "), 1)
        self.assertIn("json.decoder.JSONDecodeError: Expecting", trace)
        trace = run(
            "import functools\n@functools.singledispatch\ndef f(x): 1/0\n"
            "def main():\n import sys\n list(map(f, [1]))"
        ).failure["traceback"]
        self.assertNotIn("functools.py", trace)
        self.assertEqual(trace.count("File "), 2)

    def test_frames_of_what_the_script_made(self) -> None:
        script = """
def main():
    open("helper.py", "w").write("def fail():\\n    raise OSError('in helper')\\n")
    import helper
    exec(compile("helper.fail()", "<string>", "exec"), {"helper": helper})
"""
        trace = run(script).failure["traceback"]
        self.assertIn('File "<string>", line 1, in <module>', trace)
        self.assertIn('helper.py", line 2, in fail\n    raise OSError', trace)

    def test_chains(self) -> None:
        script = """
class Mine(Exception):
    pass
def main():
    try:
        try:
            {}["a"]
        except KeyError as error:
            raise Mine("second") from error
    except Mine:
        raise Mine
"""
        failure = run(script).failure
        self.assertEqual(failure["message"], "Mine")
        trace = failure["traceback"]
        self.assertIn("KeyError: 'a'\n\nThe above exception was the direct", trace)
        self.assertIn("Mine: second\n\nDuring handling of the above", trace)
        self.assertTrue(trace.endswith("\nMine\n"), trace)
        self.assertEqual(trace.count(HEAD), 3)
        self.assertNotIn("runner", trace)

    def test_suppressed_contexts_stay_away(self) -> None:
        script = "def main():\n try: 1/0\n except Exception: raise OSError from None"
        self.assertEqual(run(script).failure["traceback"].count(HEAD), 1)

    def test_groups_and_notes(self) -> None:
        script = """
def fail(error):
    raise error
def main():
    errors = []
    for error in (ValueError(1), OSError(2)):
        try:
            fail(error)
        except Exception as caught:
            errors.append(caught)
    group = ExceptionGroup("both", errors)
    group.add_note("a note")
    raise group
"""
        failure = run(script).failure
        self.assertEqual(failure["message"], "ExceptionGroup: both (2 sub-exceptions)")
        for part in ("ValueError: 1", "OSError: 2", "a note", "fail(error)"):
            self.assertIn(part, failure["traceback"])

    def test_base_exceptions(self) -> None:
        for raised in ("KeyboardInterrupt", "GeneratorExit", "BaseException('x')"):
            with self.subTest(raised):
                failure = run(f"def main(): raise {raised}").failure
                self.assertEqual(failure["code"], "exception")
                self.assertTrue(failure["message"].startswith(raised.partition("(")[0]))

    def test_names(self) -> None:
        script = "import decimal\ndef main(): decimal.Decimal('x')"
        message = run(script).failure["message"]
        self.assertTrue(message.startswith("decimal.InvalidOperation: ["), message)
        script = "class A:\n class B(Exception): pass\ndef main(): raise A.B('é')"
        self.assertEqual(run(script).failure["message"], "A.B: é")

    def test_recursion(self) -> None:
        failure = run("def main(): main()").failure
        self.assertTrue(failure["message"].startswith("RecursionError: maximum"))
        self.assertIn("more times]", failure["traceback"])
        script = """
import sys
sys.setrecursionlimit(100_000)
def main(n=0):
    if n == 50_000: raise ValueError("deep")
    main(n + 1)
"""
        failure = run(script).failure
        self.assertEqual(failure["message"], "ValueError: deep")
        self.assertIn("in [48001 frames left out]", failure["traceback"])

    def test_a_low_recursion_limit(self) -> None:
        script = "import sys\ndef main():\n sys.setrecursionlimit(40)\n {}['a']"
        self.assertEqual(run(script).failure["message"], "KeyError: 'a'")

    def test_long_messages_are_shortened(self) -> None:
        ended = run("def main(): raise ValueError('a' * 5_000_000 + 'end')")
        self.assertLessEqual(len(ended.payload), 256 * 1024)
        self.assertLessEqual(len(ended.failure["message"]), 16 * 1024)
        self.assertTrue(ended.failure["message"].endswith("end"))
        self.assertTrue(ended.failure["traceback"].startswith(HEAD))

    def test_lone_surrogates(self) -> None:
        ended = run("def main(): raise ValueError('\\ud800')")
        self.assertEqual(ended.failure["message"], "ValueError: \ufffd")


class TestHostileExceptions(unittest.TestCase):
    def hostile(self, body: str) -> Outcome:
        return run(
            f"class Odd(Exception):\n    {body}\ndef main():\n    raise Odd('told')"
        )

    def test_each_still_gives_a_report(self) -> None:
        for body in (
            "def __str__(self): 1/0",
            "def __str__(self): raise SystemExit(9)",
            "def __str__(self): return 1",
            "def __repr__(self): 1/0",
            "__notes__ = 5",
            "__notes__ = property(lambda self: 1/0)",
            "__cause__ = property(lambda self: 1/0)",
            "__context__ = property(lambda self: 1/0)",
            "__traceback__ = property(lambda self: 1/0)",
            "__suppress_context__ = property(lambda self: 1/0)",
            "__class__ = property(lambda self: 1/0)",
            "__module__ = 5",
            "__getattribute__ = lambda self, name: 1/0",
            "__eq__ = __hash__ = None",
        ):
            with self.subTest(body):
                failure = self.hostile(body).failure
                self.assertEqual(failure["code"], "exception")
                self.assertIn("Odd", failure["message"])

    def test_a_hostile_metaclass(self) -> None:
        for name in ("__module__", "__name__", "__mro__"):
            script = f"""
class Meta(type):
    {name} = property(lambda cls: 1/0)
class Odd(Exception, metaclass=Meta):
    pass
def main():
    raise Odd("told")
"""
            with self.subTest(name):
                self.assertIn("Odd", run(script).failure["message"])

    def test_circular_chains(self) -> None:
        script = """
def main():
    a, b = ValueError("a"), ValueError("b")
    a.__cause__, b.__cause__ = b, a
    raise a
"""
        self.assertEqual(run(script).failure["message"], "ValueError: a")


class TestHints(unittest.TestCase):
    def test_each_limit(self) -> None:
        cases = [
            ("MemoryError", "the memory limit"),
            ("OSError(errno.EAGAIN, 'x')", "the process limit"),
            ("BlockingIOError(errno.EAGAIN, 'x')", "the process limit"),
            ('RuntimeError("can\'t start new thread")', "the process limit"),
            ("OSError(errno.EMFILE, 'x')", "the open files limit"),
            ("OSError(errno.ENOSPC, 'x')", "the size limit of /tmp"),
            ("ExceptionGroup('g', [MemoryError()])", "the memory limit"),
            ("ValueError() from MemoryError()", "the memory limit"),
            ("OSError(errno.ENOENT, 'x')", None),
            ("RuntimeError('x')", None),
        ]
        for raised, hint in cases:
            with self.subTest(raised):
                failure = run(f"import errno\ndef main():\n raise {raised}").failure
                self.assertEqual(failure.get("hint"), hint)

    def test_a_file_that_grows_too_large(self) -> None:
        script = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
def main():
    with open("a", "wb") as file:
        file.write(b"x" * 1001)
"""
        want = "the file size limit, 1000 bytes (LIMIT_FILE_MB)"
        self.assertEqual(run(script).failure["hint"], want)

    def test_a_file_that_grows_too_large_behind_a_library(self) -> None:
        before = (
            "import dbm.dumb, resource, shelve, sqlite3, subprocess, sys\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        )
        grow = f"{sys.executable} -c \"open('a', 'wb').write(bytes(100_000))\""
        for act, hinted in (
            (
                (
                    "c = sqlite3.connect('a'); c.execute('create table t(x)');"
                    " c.execute('insert into t values (zeroblob(200000))'); c.commit()"
                ),
                True,
            ),
            (f"subprocess.run({grow!r}, shell=True, check=True)", False),
            ("subprocess.run('kill -XFSZ $$', shell=True, check=True)", True),
            ("open('a', 'wb', 0).write(bytes(60_000)); {}['other']", False),
            ("sqlite3.connect('a').execute('no SQL')", False),
        ):
            with self.subTest(act):
                failure = run(f"{before}def main():\n    {act}\n").failure
                found = failure.get("hint", "").startswith("the file size limit, 50000")
                self.assertEqual(found, hinted, failure)

    def test_sockets_are_named(self) -> None:
        # Outside of the sandbox, sockets are not refused: raise the sandbox's errors.
        before = (
            "import socket\nfrom urllib.error import URLError\n"
            "def refuse(*_, **__): raise PermissionError(13, 'Permission denied')\n"
            "socket.socket.__init__ = refuse\n"
            "refuse.__globals__['__name__'] = 'socket'\n"
        )
        for act, hint in (
            ("socket.socket()", "no network in the sandbox"),
            ("socket.create_connection(('192.0.2.1', 1))", "no network in the sandbox"),
            ("raise socket.gaierror(-3, 'x')", "no network in the sandbox"),
            ("raise URLError('x') from socket.gaierror(-3, 'x')", "no network in"),
        ):
            with self.subTest(act):
                failure = run(f"{before}def main():\n    {act}\n").failure
                self.assertIn(hint, failure.get("hint", ""))
        failure = run("def main(): raise PermissionError(13, 'x')").failure
        self.assertNotIn("hint", failure)

    def test_a_missing_package(self) -> None:
        for act in (
            "import lxml",
            "raise ImportError('`Import lxml` failed.  Use pip or conda')",
        ):
            hint = run(f"def main():\n    {act}\n").failure["hint"]
            self.assertIn(f"Python {sys.version_info[0]}.{sys.version_info[1]}", hint)
            self.assertIn("docs/python.md", hint)
            self.assertNotIn("pip", hint)
        failure = run("def main():\n    from os import nothing_like_it\n").failure
        self.assertNotIn("hint", failure)

    def test_address_space_that_is_used_up(self) -> None:
        script = """
import resource
def main():
    resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))
    kept = []
    while True:
        kept.append(%s)
"""
        for piece in ("bytearray(1 << 20)", "'x' * 100", "[[] for _ in range(100)]"):
            with self.subTest(piece):
                failure = run(script % piece).failure
                self.assertEqual(failure["message"], "MemoryError")
                self.assertEqual(failure["hint"], "the memory limit")

    def test_address_space_of_which_nothing_is_left(self) -> None:
        # The kept objects outlive main(), and the last pieces fill every gap.
        script = """
import resource
kept = None
def main():
    global kept
    resource.setrlimit(resource.RLIMIT_AS, (%d, %d))
    for size in (1 << 20, 1 << 16, 1 << 12, 600, 100, 1):
        try:
            while True:
                kept = (kept, bytes(size))
        except MemoryError:
            pass
    raise MemoryError
"""
        for size in range(100 << 20, 101 << 20, 1 << 18):
            with self.subTest(size):
                failure = run(script % (size, size)).failure
                self.assertEqual(failure["message"], "MemoryError")
                self.assertEqual(failure["hint"], "the memory limit")

    def test_a_result_for_which_there_is_no_memory(self) -> None:
        script = """
import resource
def main():
    value = ["x" * 3_000_000]
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
    return value
"""
        failure = run(script).failure
        self.assertEqual(failure["code"], "exception")
        self.assertEqual(failure["hint"], "the memory limit")


class TestLateAlarms(unittest.TestCase):
    def test_an_alarm_after_the_return(self) -> None:
        # The alarm is due when main() returns, a little before or after.
        script = """
import signal
import time
def late(_, frame):
    if frame.f_code.co_name != "main":
        raise RuntimeError("too late")
def main():
    signal.signal(signal.SIGALRM, late)
    start = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    while time.perf_counter() - start < 0.002 - %d / 1e6:
        pass
    return "returned"
"""
        for before in range(0, 100, 5):
            with self.subTest(before):
                self.assertEqual(run(script % before).result, "returned")

    def test_an_alarm_in_the_last_moment(self) -> None:
        # This main() is in C, where no signal is handled: it is due at the return.
        script = """
import itertools, signal
from functools import partial
def late(_, frame):
    raise RuntimeError("too late")
signal.signal(signal.SIGALRM, late)
arm = itertools.starmap(signal.setitimer, [(signal.ITIMER_REAL, 0.001)])
main = partial(list, itertools.chain(arm, map(sum, [range(3_000_000)])))
"""
        self.assertEqual(run(script).result, [[0, 0], 4_499_998_500_000])


class TestExit(unittest.TestCase):
    def test_codes(self) -> None:
        cases = [
            ("sys.exit()", 0, ""),
            ("sys.exit(0)", 0, ""),
            ("sys.exit(3)", 3, ""),
            ("sys.exit(-1)", 255, ""),
            ("sys.exit(256)", 0, ""),
            ("sys.exit(2**63)", 255, ""),
            ("sys.exit(True)", 1, ""),
            ("sys.exit('a text é')", 1, "a text é\n"),
            ("sys.exit(1.5)", 1, "1.5\n"),
            ("sys.exit((1, 2))", 1, "(1, 2)\n"),
            ("exit(4)", 4, ""),
            ("raise SystemExit", 0, ""),
        ]
        for act, code, stderr in cases:
            for script in (f"def main(): {act}", f"{act}\ndef main(): pass"):
                with self.subTest(script):
                    ended = run(f"import sys\n{script}")
                    want = f"the script exited with code {code} before main() returned"
                    self.assertEqual(
                        ended.failure,
                        {"code": "exit", "message": want, "exit_code": code},
                    )
                    self.assertEqual(ended.stderr, stderr)

    def test_hostile_exits(self) -> None:
        for body in ("code = property(lambda self: 1/0)", "__str__ = lambda self: 1/0"):
            script = f"class Odd(SystemExit):\n {body}\ndef main(): raise Odd(Odd())"
            self.assertIn(run(script).failure["code"], ("exit", "exception"))

    def test_an_exit_in_a_group_is_an_exception(self) -> None:
        script = "def main(): raise BaseExceptionGroup('g', [SystemExit(3)])"
        self.assertEqual(run(script).failure["code"], "exception")
