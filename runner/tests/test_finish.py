"""What happens between the end of main() and the report."""

import tempfile
import unittest
from pathlib import Path

from .harness import run, run_in

_NOISY = """
class Noisy:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        tell(self.name)
def tell(name):
    print("deleted", name)
"""


class Finish(unittest.TestCase):
    """Exit handlers, and the objects of modules."""

    def test_finalizers_find_their_module_whole(self) -> None:
        ended = run(_NOISY + "a = Noisy('a')\ndef main(): pass")
        self.assertEqual((ended.stdout, ended.stderr), ("deleted a\n", ""))

    def test_wherever_a_module_holds_it(self) -> None:
        for held in (
            "a = [Noisy('a')]",
            "a = {'a': (Noisy('a'),)}",
            "class A: a = Noisy('a')",
            "a = Noisy('a'); a.itself = a",
        ):
            with self.subTest(held):
                ended = run(f"{_NOISY}{held}\ndef main(): pass")
                self.assertEqual((ended.stdout, ended.stderr), ("deleted a\n", ""))

    def test_what_something_else_refers_to(self) -> None:
        script = "import sys\na = Noisy('a')\nsys.kept = main = lambda: None\n"
        ended = run(_NOISY.replace("tell(self.name)", "print('left')") + script)
        self.assertEqual((ended.stdout, ended.stderr), ("left\n", ""))

    def test_modules_of_the_scripts_own_folder(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "helper.py").write_text(_NOISY + "a = Noisy('a')\n")
            ended = run_in(directory, "import helper\ndef main(): return 1")
        self.assertEqual(ended.result, 1)
        self.assertEqual((ended.stdout, ended.stderr), ("deleted a\n", ""))

    def test_finalizers_that_raise(self) -> None:
        script = _NOISY.replace("tell(self.name)", "1/0") + "a = Noisy('a')\n"
        ended = run(script + "def main(): return 1")
        self.assertEqual(ended.result, 1)
        self.assertIn("ZeroDivisionError", ended.stderr)
        self.assertNotIn("runner", ended.stderr)

    def test_threads_are_silent(self) -> None:
        ended = run(
            "import threading, time\nkept = [object()]\nbusy = threading.Event()\n"
            "def work():\n while True: busy.set(); kept[0]; time.sleep(0)\n"
            "def main():\n threading.Thread(target=work).start()\n busy.wait()\n"
            " return 1"
        )
        self.assertEqual((ended.result, ended.stderr), (1, ""))

    def test_children_are_not_waited_for(self) -> None:
        ended = run(
            "import multiprocessing, time\ndef main():\n"
            " multiprocessing.get_context('fork').Process("
            "target=time.sleep, args=(50,)).start()\n return 1"
        )
        self.assertEqual(ended.result, 1)

    def test_forks_in_a_handler_do_not_answer(self) -> None:
        ended = run("import atexit, os\natexit.register(os.fork)\ndef main(): return 1")
        self.assertEqual(ended.result, 1)

    def test_a_handler_that_exits(self) -> None:
        script = (
            "import atexit, sys\natexit.register(sys.exit, 3)\ndef main(): return 1"
        )
        self.assertEqual(run(script).result, 1)

    def test_nothing_runs_without_main(self) -> None:
        ended = run("import atexit\natexit.register(print, 'ran')")
        self.assertEqual(ended.failure["code"], "missing_main")
        self.assertEqual(ended.stdout, "")

    def test_a_copy_that_returns_from_main(self) -> None:
        ended = run(
            "import atexit, os\ndef main():\n atexit.register(print, 'handled')\n"
            " if child := os.fork(): os.waitpid(child, 0)\n return 1"
        )
        self.assertEqual((ended.result, ended.stdout), (1, "handled\nhandled\n"))
