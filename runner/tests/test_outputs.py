"""The files that the script leaves, figures included."""

import importlib.util
import json
import tempfile
import unittest
from typing import Any

from runner.tests.harness import Outcome, Runner

HAVE_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
PNG = b"\x89PNG\r\n\x1a\n"


def run(script: str, **job: Any) -> tuple[dict[str, bytes], Outcome]:
    """Run a script; return the files that it left, and how it ended."""
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        runner = Runner(directory, env={"MPLBACKEND": "Agg", "HOME": directory})
        runner.receive()
        runner.send(b"J", json.dumps({"script": script, **job}).encode())
        while True:
            kind, length, payload = runner.receive()
            if kind != b"F":
                break
            size = int.from_bytes(payload[:2], "big")
            files[payload[2 : 2 + size].decode()] = payload[2 + size :]
        return files, Outcome((kind, length, payload), runner)


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

    def test_the_only_file_in_a_hidden_or_deep_folder(self) -> None:
        for folder in (".hidden", "/".join("d" * 16)):
            with self.subTest(folder):
                files, _ = run(
                    "import os\ndef main():\n"
                    f"    os.makedirs('outputs/{folder}')\n"
                    f"    open('outputs/{folder}/x', 'w').write('kept')\n"
                )
                self.assertEqual(files, {folder + "/x": b"kept"})

    def test_files_beside_outputs(self) -> None:
        files, ended = run(
            "import os\n"
            "def main():\n"
            "    os.makedirs('d/__pycache__'), os.mkdir('d/.hidden')\n"
            "    for name in ('a', 'd/b', '.no', 'd/__pycache__/no', 'd/.hidden/no',\n"
            "                 'outputs/a', 'outputs/.dot'):\n"
            "        with open(name, 'w') as f: f.write(name)\n"
            "    os.symlink('/etc/passwd', 'link')\n"
            "    os.symlink('/etc', 'd/folder')\n"
            "    os.mkfifo('fifo')\n"
            "    import tempfile\n"
            "    tempfile.NamedTemporaryFile(delete=False).close()\n"
            "    return open(__file__, 'a').write('# changed') and 1\n"
        )
        want = {"a": b"outputs/a", ".dot": b"outputs/.dot", "d/b": b"d/b"}
        self.assertEqual((files, ended.result), (want, 1))
        note = "a: left out, since outputs/ has a file of that name"
        self.assertEqual(ended.notes, [note])

    def test_what_does_not_fit_beside_outputs(self) -> None:
        files, ended = run(
            "def main():\n"
            "    for i in range(100): open(f'{i:02}', 'w').close()\n"
            "    open('outputs/x', 'w').write('x' * 10)\n"
            "    open('0', 'w').write('x' * 10)\n    return 1\n",
            output_files=3,
            output_files_bytes=15,
        )
        self.assertEqual((sorted(files), ended.result), (["00", "01", "x"], 1))
        first, *others = ended.omitted
        want = {"name": "0", "size": 10, "limit": "output_files_bytes"}
        self.assertEqual((first, len(others)), (want, 63))
        self.assertEqual(others[0], {"name": "02", "size": 0, "limit": "output_files"})
        self.assertEqual(ended.notes, ["35 more files did not fit and are not listed"])

    def test_the_folder_is_there(self) -> None:
        for make in ("", "os.mkdir('outputs')", "os.makedirs('outputs')"):
            with self.subTest(make):
                files, _ = run(
                    f"import os\ndef main():\n    {make}\n"
                    "    open('outputs/a', 'w').close()\n"
                )
                self.assertEqual(files, {"a": b""})
        _, ended = run(
            "import os\ndef main():\n    os.mkdir('outputs')\n    os.mkdir('outputs')\n"
        )
        self.assertIn("FileExistsError", ended.failure["message"])

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
            "    for name, value in [*vars(os).items()]:\n"
            "        if callable(value): setattr(os, name, exit)\n"
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

    def test_no_more_than_the_limits(self) -> None:
        files, ended = run(
            self.before + "def main():\n"
            "    for _ in range(4): plt.figure(figsize=(1, 1))\n"
            "    open('outputs/a', 'w').close()\n    return plt.figure(4)\n",
            output_files=3,
        )
        self.assertEqual(sorted(files), ["a", "figure-1.png", "figure-2.png"])
        self.assertEqual(ended.result, "figure-4.png")
        left = [(f["name"], f["limit"]) for f in ended.omitted]
        self.assertEqual(
            sorted(left),
            [("figure-3.png", "output_files"), ("figure-4.png", "output_files")],
        )

    def test_a_figure_over_a_limit_of_bytes(self) -> None:
        script = self.before + "def main(): plt.figure(); return 1\n"
        for limit, name in (
            ("file_bytes", "file_size"),
            ("output_files_bytes", "output_files_bytes"),
        ):
            with self.subTest(limit):
                files, ended = run(script, **{limit: 100})
                self.assertEqual((files, ended.result), ({}, 1))
                (left,) = ended.omitted
                self.assertEqual(left["limit"], name)
                self.assertGreater(left["size"], 100)

    def test_no_more_than_there_is_time_for(self) -> None:
        files, ended = run(
            self.before + "import time\ndef main():\n"
            "    plt.figure()\n"
            "    plt.figure().savefig = lambda *_, **__: time.sleep(60)\n"
            "    plt.figure()\n    return 1\n",
            wall_seconds=10,
        )
        self.assertEqual((sorted(files), ended.result), (["figure-1.png"], 1))
        left = [(f["name"], f["size"], f["limit"]) for f in ended.omitted]
        self.assertEqual(
            left, [("figure-2.png", None, "wall"), ("figure-3.png", None, "wall")]
        )

    def test_a_figure_that_waits_uses_no_cpu_time(self) -> None:
        files, ended = run(
            self.before + "import time\ndef main():\n"
            "    plt.figure().savefig = lambda *_, **__: time.sleep(4)\n"
            "    return 1\n",
            wall_seconds=60,
            cpu_seconds=4,
        )
        self.assertEqual((files, ended.result), ({"figure-1.png": b""}, 1))
        self.assertEqual(ended.omitted, [])

    def test_a_figure_that_takes_too_much_cpu_time(self) -> None:
        files, ended = run(
            self.before + "def main():\n"
            "    def savefig(*_, **__):\n        while True: pass\n"
            "    plt.figure().savefig = savefig\n    plt.figure()\n    return 1\n",
            wall_seconds=60,
            cpu_seconds=4,
        )
        self.assertEqual((files, ended.result), ({}, 1))
        left = [(f["name"], f["size"], f["limit"]) for f in ended.omitted]
        self.assertEqual(
            left, [("figure-1.png", None, "cpu"), ("figure-2.png", None, "cpu")]
        )

    def test_a_figure_that_cannot_be_saved(self) -> None:
        files, ended = run(
            self.before + "def main():\n    figure = plt.figure()\n"
            "    figure.savefig = lambda *_, **__: 1 / 0\n    return 1\n"
        )
        self.assertEqual(files, {})
        self.assertEqual(ended.result, 1)
        self.assertIn("figure-1.png could not be saved: ZeroDivision", ended.stderr)
        self.assertIn("figure-1.png could not be saved: ZeroDivision", ended.notes[0])
