"""The output that the script prints."""

import unittest

from runner.tests.harness import run


class TestOutput(unittest.TestCase):
    def test_both_streams_apart(self) -> None:
        ended = run(
            "import sys\nprint('a')\nprint('b', file=sys.stderr)\n"
            "def main():\n print('c', end='')\n sys.stderr.write('d')"
        )
        self.assertEqual((ended.stdout, ended.stderr), ("a\nc", "b\nd"))
        self.assertIsNone(ended.result)

    def test_unicode_and_lone_surrogates(self) -> None:
        ended = run(
            "import sys\ndef main():\n"
            " print('é\U0001f600 a\\ud800b\\udcff')\n print('\\udfff', file=sys.stderr)"
        )
        self.assertEqual(ended.stdout, "é\U0001f600 a\ufffdb\ufffd\n")
        self.assertEqual(ended.stderr, "\ufffd\n")

    def test_lines_survive_a_kill(self) -> None:
        ended = run(
            "import os, sys\ndef main():\n print('a')\n print('b', file=sys.stderr)\n"
            " os.kill(os.getpid(), 9)"
        )
        self.assertEqual((ended.stdout, ended.stderr), ("a\n", "b\n"))

    def test_comes_before_every_kind_of_end(self) -> None:
        for end in ("return 1", "1/0", "raise SystemExit(3)", "return {1}"):
            ended = run(f"def main():\n print('x', end='')\n {end}")
            self.assertEqual(ended.stdout, "x")

    def test_a_script_that_does_things_to_its_streams(self) -> None:
        for act, stdout in (
            ("os.close(1)", ""),
            ("os.close(1); os.close(2)", ""),
            ("sys.stdout.close()", "before"),
            ("sys.stdout = None", "before"),
            ("del sys.stdout", "before"),
            ("sys.stdout = io.StringIO(); print('lost')", "before"),
            ("sys.stdout = object()", "before"),
            ("sys.stdout.flush = lambda: 1/0", "before"),
            ("sys.stdout.detach()", "before"),
            ("os.dup2(os.open('f', os.O_CREAT | os.O_WRONLY), 1)", ""),
            ("sys.stdout = open('f', 'w'); print('lost')", "before"),
            ("sys.__stdout__ = None", "before"),
        ):
            for end in ("return 7", "1/0"):
                with self.subTest(act=act, end=end):
                    ended = run(
                        "import io, os, sys\ndef main():\n"
                        f" print('before', end='')\n {act}\n {end}"
                    )
                    if end == "1/0":
                        self.assertIn("ZeroDivision", ended.failure["message"])
                    else:
                        self.assertEqual(ended.result, 7)
                    self.assertEqual(ended.stdout, stdout)

    def test_a_flush_that_exits(self) -> None:
        ended = run(
            "import sys\nclass Odd:\n def write(self, text): pass\n"
            " def flush(self): raise SystemExit(9)\n"
            "def main():\n sys.stdout = Odd()\n return 1"
        )
        self.assertEqual(ended.result, 1)

    def test_children_print_too(self) -> None:
        ended = run(
            "import os, subprocess\ndef main():\n print('a')\n"
            " subprocess.run(['echo', 'b'])\n os.system('echo c >&2')"
        )
        self.assertEqual((ended.stdout, ended.stderr), ("a\nb\n", "c\n"))

    def test_bytes_pass_as_they_are(self) -> None:
        ended = run("import sys\ndef main():\n sys.stdout.buffer.write(b'\\xc3\\xa9')")
        self.assertEqual(ended.stdout, "é")

    def test_ten_megabytes(self) -> None:
        ended = run("def main():\n for _ in range(1000): print('x' * 9999)")
        self.assertEqual(len(ended.stdout), 10_000_000)
