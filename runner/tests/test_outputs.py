"""What the script leaves in outputs/, pictures included."""

import importlib.util
import json
import tempfile
import unittest

from runner.tests.harness import Ended, Runner

HAVE_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
PNG = b"\x89PNG\r\n\x1a\n"


def run(script: str) -> tuple[dict[str, bytes], Ended]:
    """Run a script; give the files that it left, and how it ended."""
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        runner = Runner(directory, env={"MPLBACKEND": "Agg", "HOME": directory})
        runner.receive()
        runner.send(b"J", b'{"script": %s}' % _quoted(script))
        while True:
            kind, length, payload = runner.receive()
            if kind != b"F":
                break
            size = int.from_bytes(payload[:2], "big")
            files[payload[2 : 2 + size].decode()] = payload[2 + size :]
        return files, Ended((kind, length, payload), runner)


def _quoted(script: str) -> bytes:
    return json.dumps(script).encode()


class Outputs(unittest.TestCase):
    def test_regular_files_only(self) -> None:
        files, ended = run(
            "import os, socket\n"
            "def main():\n"
            "    os.makedirs('outputs/d')\n"
            "    open('outputs/d/real', 'w').write('x')\n"
            "    open('outputs/a', 'w').close()\n"
            "    os.symlink('/etc/passwd', 'outputs/link')\n"
            "    os.symlink('/etc', 'outputs/folder')\n"
            "    os.mkfifo('outputs/fifo')\n"
            "    s = socket.socket(socket.AF_UNIX)\n"
            "    s.bind('outputs/socket')\n"
        )
        self.assertEqual(files, {"a": b"", "d/real": b"x"})
        self.assertIsNone(ended.result)

    def test_after_an_exception(self) -> None:
        files, ended = run(
            "import os\ndef main():\n    os.mkdir('outputs')\n"
            "    open('outputs/a', 'w').close()\n    1 / 0\n"
        )
        self.assertEqual(files, {"a": b""})
        self.assertEqual(ended.failure["code"], "exception")

    def test_files_that_are_open_still(self) -> None:
        files, ended = run(
            "import os\n"
            "os.mkdir('outputs')\n"
            "kept = open('outputs/kept', 'w')\n"
            "raw = open('outputs/raw', 'w+b')\n"
            "def main():\n"
            "    local = open('outputs/local', 'w')\n"
            "    for file in (kept, local):\n        file.write('text')\n"
            "    raw.write(b'bytes')\n"
            "    1 / 0\n"
        )
        want = {"kept": b"text", "local": b"text", "raw": b"bytes"}
        self.assertEqual(files, want)
        self.assertEqual(ended.failure["code"], "exception")

    def test_no_descriptor_is_left(self) -> None:
        files, ended = run(
            "import os\n"
            "taken = []\n"
            "def main():\n"
            "    os.mkdir('outputs')\n"
            "    file = open('outputs/a', 'w')\n"
            "    file.write('text')\n"
            "    taken.append(file)\n"
            "    try:\n"
            "        while True:\n            taken.append(open('/dev/null'))\n"
            "    except OSError:\n        return 1\n"
        )
        self.assertEqual(files, {"a": b"text"})
        self.assertEqual(ended.result, 1)

    def test_a_script_that_breaks_os(self) -> None:
        files, ended = run(
            "import os\ndef main():\n    os.mkdir('outputs')\n"
            "    open('outputs/a', 'w').close()\n"
            "    os.open = os.listdir = os.fstat = os.read = None\n"
        )
        self.assertEqual(files, {"a": b""})
        self.assertIsNone(ended.result)


@unittest.skipUnless(HAVE_MATPLOTLIB, "matplotlib is not installed")
class Pictures(unittest.TestCase):
    before = "import matplotlib.pyplot as plt\n"

    def test_open_figures(self) -> None:
        files, ended = run(
            self.before + "def main():\n    plt.plot([1, 2])\n    plt.figure(7)\n"
            "    plt.close(plt.figure(8))\n    return 1\n"
        )
        self.assertEqual(sorted(files), ["figure-1.png", "figure-7.png"])
        self.assertTrue(all(data.startswith(PNG) for data in files.values()))
        self.assertEqual((ended.result, ended.stderr), (1, ""))

    def test_returned_figures(self) -> None:
        files, ended = run(
            self.before + "from matplotlib.figure import Figure\ndef main():\n"
            "    figure, axes = plt.subplots()\n"
            "    return [figure, {'axes': axes}, Figure()]\n"
        )
        self.assertEqual(sorted(files), ["figure-1.png", "figure-2.png"])
        names = ["figure-1.png", {"axes": "figure-1.png"}, "figure-2.png"]
        self.assertEqual(ended.result, names)

    def test_a_name_that_is_taken(self) -> None:
        files, _ = run(
            self.before + "import os\ndef main():\n    os.mkdir('outputs')\n"
            "    os.symlink('/etc/passwd', 'outputs/figure-1.png')\n    plt.figure()\n"
        )
        self.assertEqual(sorted(files), ["figure-2.png"])

    def test_a_figure_that_cannot_be_saved(self) -> None:
        files, ended = run(
            self.before + "def main():\n    figure = plt.figure()\n"
            "    figure.savefig = lambda *_, **__: 1 / 0\n    return 1\n"
        )
        self.assertEqual(files, {})
        self.assertEqual(ended.result, 1)
        self.assertIn("figure 1 could not be saved: ZeroDivision", ended.stderr)
