"""Scripts that break what the runner depends on, by accident or on purpose."""

import unittest

from runner.tests.harness import run

# Each runs in main(), which then ends in one of three ways.
ACTS = [
    "import json; json.dumps = json.loads = None",
    "import json.encoder; json.encoder.c_make_encoder = None",
    "import json; json.JSONEncoder.default = lambda *a: 'x'",
    "import os; os.write = os.read = os._exit = os.getpid = None",
    "import sys; sys.modules.clear()",
    "import sys; sys.path.clear(); sys.meta_path.clear(); sys.path_hooks.clear()",
    "import sys; sys.path = sys.modules = None",
    "import builtins; builtins.len = builtins.type = builtins.isinstance = None",
    "import builtins; builtins.__import__ = None",
    "import builtins; del builtins.BaseException, builtins.str, builtins.getattr",
    "import builtins; vars(builtins).clear()",
    "import traceback; traceback.TracebackException = None",
    "import linecache; linecache.cache = None",
    "import linecache; linecache.getline = linecache.checkcache = None",
    "import sys; sys.exc_info = sys.excepthook = None",
    "import sys; sys.setrecursionlimit(50)",
    "import sys; sys.settrace(lambda *a: 1/0 if a[1] == 'return' else None)",
    "import sys; sys.setprofile(lambda *a: None)",
    "import sys; sys.set_int_max_str_digits(0)",
    "import signal; signal.signal(14, lambda *a: 1/0); signal.setitimer(0, 0.002)",
    "import signal; signal.signal(13, signal.SIG_DFL)",
    "import os; os.chdir('/'); os.environ.clear()",
    "import gc; gc.disable(); gc.set_threshold(0)",
    "import gc; gc.collect()",
    "import os; os.unlink('script.py')",
    "open('traceback.py', 'w').write('1/0'); open('linecache.py', 'w').write('1/0')",
    "open('token.py', 'w').write(''); open('re.py', 'w').write('x = 1')",
    "open('script.py', 'w').write('nothing')",
    "import sys; sys.modules['traceback'] = None",
    "import sys; sys.modules['traceback'] = sys",
    "import sys; sys.modules['linecache'] = sys",
    "import sys; sys.modules['signal'] = sys",
    "import sys; sys.modules['numpy'] = sys",
    "import sys; del sys.modules['script'], sys.modules['__main__']",
    "import codecs; codecs.register_error('cellblock.replace', None.__class__)",
    "import threading; threading.Thread(target=f).start()",
    "import warnings; warnings.simplefilter('error')",
    "globals().clear()",
    "import sys; sys.stdout = sys.stderr = None",
    "import faulthandler; faulthandler.enable()",
    "import atexit; atexit.register(lambda: 1/0)",
    "import collections.abc as abc; abc.Coroutine.__subclasshook__ = None",
]


class TestHostile(unittest.TestCase):
    def script(self, act: str, end: str) -> str:
        return f"def f(): 1/0\ndef main():\n    {act}\n    {end}\n"

    def test_result(self) -> None:
        for act in ACTS:
            with self.subTest(act):
                ended = run(self.script(act, "return {'a': [1, 2.5, 'é']}"))
                self.assertEqual(ended.result, {"a": [1, 2.5, "é"]})

    def test_awaited_result(self) -> None:
        for act in (
            "builtins.hasattr = None",
            "builtins.type = lambda *a: int",
        ):
            with self.subTest(act):
                script = f"import builtins\nasync def main(): return 1\n{act}\n"
                self.assertEqual(run(script).result, 1)

    def test_exception(self) -> None:
        for act in ACTS:
            with self.subTest(act):
                failure = run(self.script(act, "{}['told']")).failure
                self.assertEqual(failure["message"], "KeyError: 'told'")
                self.assertIn('"script.py", line 4, in main', failure["traceback"])
                self.assertNotIn("runner", failure["traceback"])

    def test_the_traceback_module_is_the_real_one(self) -> None:
        for act in (
            "import sys; sys.path.clear(); sys.meta_path.clear()",
            "import sys; sys.path = sys.modules = None",
            "open('traceback.py', 'w').write('1/0')",
            "open('token.py', 'w').write('1/0')",
        ):
            with self.subTest(act):
                failure = run(self.script(act, "{}['told']")).failure
                # Only the real traceback module marks the position in the line.
                self.assertIn("~~^^^^^^^^", failure["traceback"])

    def test_not_serializable(self) -> None:
        for act in ACTS:
            with self.subTest(act):
                failure = run(self.script(act, "return [{1}]")).failure
                self.assertTrue(failure["detail"].startswith("result[0]: set"))

    def test_what_looks_like_an_answer_is_output(self) -> None:
        script = """
import sys
def main():
    sys.stdout.buffer.write(b'R\\x00\\x00\\x00\\x011')
    print('E{"code":"exit"}')
    return "real"
"""
        ended = run(script)
        self.assertEqual(ended.result, "real")
        self.assertIn('E{"code":"exit"}', ended.stdout)

    def test_a_forged_answer_is_one_frame(self) -> None:
        script = """
import os
def main():
    for fd in range(3, 20):
        try:
            os.write(fd, b"R\\0\\0\\0\\x022\\n")
        except OSError:
            pass
    return 1
"""
        ended = run(script)
        self.assertEqual((ended.kind, ended.payload), (b"R", b"2\n"))

    def test_a_channel_that_the_script_closed(self) -> None:
        for act in ("os.closerange(3, 256)", "os.closerange(0, 256)"):
            ended = run(f"import os\ndef main():\n {act}\n return 1")
            self.assertEqual((ended.kind, ended.wait_status), (b"", 0))

    def test_forks_that_return_as_well(self) -> None:
        script = """
import os, sys, time
def main():
    pid = os.fork()
    if pid == 0:
        print("child", end="")
        %s
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "parent"]
"""
        for act, code, said in (
            ("return 'child'", 0, ""),
            ("sys.exit(5)", 5, ""),
            ("sys.exit('a text')", 1, "a text\n"),
            ("raise ValueError('told')", 1, "ValueError: told\n"),
        ):
            with self.subTest(act):
                ended = run(script % act)
                self.assertEqual(ended.result, [code, "parent"])
                self.assertEqual(ended.stdout, "child")
                self.assertTrue(ended.stderr.endswith(said), ended.stderr)
                self.assertNotIn("runner", ended.stderr)

    def test_threads_that_change_the_result(self) -> None:
        script = """
import threading
value = {}
def grow():
    n = 0
    while True:
        n = (n + 1) % 5000
        value[n] = n
        value.pop((n * 7) % 5000, None)
def main():
    for _ in range(2):
        threading.Thread(target=grow, daemon=True).start()
    return value
"""
        # Any kind of answer is valid.
        self.assertIn(run(script).kind, (b"R", b"E"))

    def test_forks_that_return_what_raises(self) -> None:
        script = """
import os, sys
class Meta(type):
    @property
    def __await__(cls): raise RuntimeError("meta")
class Value(metaclass=Meta): pass
class Text:
    def __str__(self): raise ValueError("text")
def main():
    pid = os.fork()
    if pid == 0:
        %s
    os.waitpid(pid, 0)
    return "parent"
"""
        for act in ("return Value()", "sys.exit(Text())"):
            with self.subTest(act):
                self.assertEqual(run(script % act).result, "parent")

    def test_an_interrupt_after_main(self) -> None:
        script = """
import _thread, threading, time
def interrupt():
    while True:
        _thread.interrupt_main()
def main():
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        return 1
"""
        self.assertIn(run(script).kind, (b"R", b"E"))

    def test_values_that_act_while_they_are_read(self) -> None:
        script = """
import os, sys
class Odd(dict):
    def items(self):
        %s
def main():
    return Odd(a=1)
"""
        for act in ("sys.exit(3)", "1/0", "raise KeyboardInterrupt", "return 5"):
            with self.subTest(act):
                failure = run(script % act).failure
                self.assertEqual(failure["code"], "not_serializable")
                self.assertIn("result: cannot be read: ", failure["detail"])
        ended = run(script % "os._exit(3)")
        self.assertEqual((ended.kind, ended.wait_status), (b"", 3 << 8))
