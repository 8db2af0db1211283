"""What cells display, and the bounds on that."""

import base64
import importlib.util
import json
import tempfile
import unittest
from typing import Any

from runner.tests.harness import MAX_BYTES, Outcome, Runner

HAVE_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
HAVE_PANDAS = importlib.util.find_spec("pandas") is not None
PNG = b"\x89PNG\r\n\x1a\n"
KIB = 1024
FORM_BYTES = 256 * KIB
MARK = "…"


def show(script: str, **job: Any) -> tuple[dict[str, bytes], Outcome]:
    """Run a cell; return its files, and how it ended."""
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        runner = Runner(directory, env={"MPLBACKEND": "Agg", "HOME": directory})
        runner.receive()
        fields = {"script": script, "entry": "cell", "result_bytes": MAX_BYTES, **job}
        runner.send(b"J", json.dumps(fields).encode())
        while True:
            frame = runner.receive()
            if frame[0] != b"F":
                break
            size = int.from_bytes(frame[2][:2], "big")
            files[frame[2][2 : 2 + size].decode()] = frame[2][2 + size :]
        return files, Outcome(frame, runner)


def a_class(*methods: str) -> str:
    """Return the definition of a class A with these one-line methods."""
    return "class A:\n" + "".join(f"    def {method}\n" for method in methods)


class Displays(unittest.TestCase):
    def forms(self, script: str) -> dict[str, Any]:
        """Run a cell that has one display, and no notes but on its result."""
        _, ended = show(script)
        self.assertEqual(len(ended.displays), 1, ended.payload)
        notes = [note for note in ended.notes if not note.startswith("result is null")]
        self.assertEqual((notes, ended.displays_omitted), ([], []))
        return ended.displays[0]

    def texts(self, script: str) -> list[str]:
        """Run a cell; return the plain text of each display."""
        _, ended = show(script)
        return [display["text/plain"]["text"] for display in ended.displays]

    def test_display(self) -> None:
        self.assertEqual(
            self.texts("display(1, 'a')\nx = display(None)\ndisplay()\nx"),
            ["1", "'a'", "None"],
        )
        _, ended = show("print('a')\ndisplay(1)\n1 / 0")
        self.assertEqual(ended.failure["code"], "exception")
        self.assertEqual(ended.displays, [{"text/plain": {"text": "1"}}])

    def test_every_method(self) -> None:
        png = base64.b64encode(PNG).decode()
        files, ended = show(
            a_class(
                "_repr_html_(self): return '<b>'",
                "_repr_markdown_(self): return '*'",
                "_repr_latex_(self): return '$'",
                "_repr_svg_(self): return '<svg/>'",
                f"_repr_png_(self): return {PNG!r}, {{'width': 5}}",
                f"_repr_jpeg_(self): return {png!r}",
                "_repr_pdf_(self): return b'%PDF'",
                "_repr_json_(self): return {'a': (1, float('nan')), '\\u2028': None}",
                "_repr_javascript_(self): return 'js'",
                "_repr_pretty_(self, p, cycle):\n"
                "        with p.group(1, '<', '>'):\n"
                "            p.text('A'); p.breakable(); p.pretty([1])\n",
            )
            + "A()"
        )
        (forms,) = ended.displays
        self.assertEqual(
            [*forms.items()],
            [
                ("text/html", {"text": "<b>"}),
                ("text/markdown", {"text": "*"}),
                ("text/latex", {"text": "$"}),
                ("image/svg+xml", {"file": "display-1.svg"}),
                ("image/png", {"file": "display-1.png"}),
                ("image/jpeg", {"file": "display-1.jpg"}),
                ("application/pdf", {"file": "display-1.pdf"}),
                ("application/json", {"json": {"a": [1, None], "\u2028": None}}),
                ("application/javascript", {"text": "js"}),
                ("text/plain", {"text": "<A [1]>"}),
            ],
        )
        self.assertEqual(
            files,
            {
                "display-1.svg": b"<svg/>",
                "display-1.png": PNG,
                "display-1.jpg": PNG,
                "display-1.pdf": b"%PDF",
            },
        )
        self.assertEqual(
            ended.notes[0],
            'display 1: application/json: result["a"][1]: NaN became null',
        )

    def test_mimebundle(self) -> None:
        bundle = (
            "{'text/html': '<i>', 'text/plain': 'p', 'application/vnd.x.v1+json': [1],"
            " 'text/x-own': 'o', 'x/y': b'bytes', 5: 1}"
        )
        forms = self.forms(
            a_class(
                f"_repr_mimebundle_(self, include=None, exclude=None): return {bundle}",
                "_repr_html_(self): return 'not this'",
                "_repr_markdown_(self): return 'this'",
                "__repr__(self): return 'not this'",
            )
            + "A()"
        )
        self.assertEqual(
            [*forms.items()],
            [
                ("application/vnd.x.v1+json", {"json": [1]}),
                ("text/x-own", {"text": "o"}),
                ("x/y", {"file": "display-1.bin"}),
                ("text/html", {"text": "<i>"}),
                ("text/markdown", {"text": "this"}),
                ("text/plain", {"text": "p"}),
            ],
        )

    def test_include_exclude_and_raw(self) -> None:
        both = a_class("_repr_html_(self): return 'h'", "__repr__(self): return 'p'")
        for call, kinds in (
            ("display(A(), include=['text/html'])", ["text/html"]),
            ("display(A(), exclude=['text/html'])", ["text/plain"]),
            ("display({'text/html': 'x'}, raw=True)", ["text/html"]),
        ):
            with self.subTest(call):
                self.assertEqual([*self.forms(both + call)], kinds)
        _, ended = show(both + "display(A(), include=['image/png'])")
        self.assertEqual((ended.displays, ended.displays_omitted), ([], []))

    def test_a_value_that_displays_itself(self) -> None:
        self.assertEqual(
            self.texts(a_class("_ipython_display_(self): display('own')") + "A()"),
            ["'own'"],
        )
        self.assertEqual(
            self.texts(
                a_class(
                    "_ipython_display_(self): raise NotImplementedError",
                    "__repr__(self): return 'r'",
                )
                + "A()"
            ),
            ["r"],
        )

    def test_a_handle(self) -> None:
        self.assertEqual(
            self.texts(
                "h = display(1, display_id=True)\ndisplay(2)\nh.update(3)\nh.display(4)"
                "\nh.update(5)"
            ),
            ["3", "2", "5"],
        )
        self.assertEqual(self.texts("display(1)\ndisplay(2, clear=True)"), ["2"])

    def test_methods_that_raise(self) -> None:
        _, ended = show(
            a_class(
                "_repr_html_(self): raise ValueError('no')",
                "_repr_svg_(self): raise NotImplementedError",
                "_repr_markdown_(self): return 'm'",
                "_repr_latex_(self): return 5",
                "_repr_png_(self): return 'bad'",
                "_repr_json_(self): return {1: {2}}",
                "__repr__(self): raise KeyError('k')",
            )
            + "A()"
        )
        self.assertEqual(
            ended.displays,
            [
                {
                    "text/markdown": {"text": "m"},
                    "text/plain": {"text": "<A: __repr__ raised KeyError: 'k'>"},
                }
            ],
        )
        self.assertEqual(
            ended.notes[:5],
            [
                "display 1: _repr_html_ raised ValueError: no",
                "display 1: _repr_latex_ returned int, not str",
                "display 1: image/png is not base64: Incorrect padding",
                (
                    'display 1: application/json has no JSON: result["1"]: set; use '
                    "list(...)"
                ),
                "display 1: __repr__ raised KeyError: 'k'",
            ],
        )
        self.assertIsNone(ended.result)

    def test_plain_texts(self) -> None:
        for value, plain in (
            ("[1, 'a', (2,), (), {}, set(), {3: [4.5]}]",) * 2,
            ("{'b', 'a', 'c'}", "{'a', 'b', 'c'}"),
            ("frozenset({2, 1})", "frozenset({1, 2})"),
            ("b'x'",) * 2,
            ("x = [1]\nx.append(x)\nx", "[1, [...]]"),
            ("x = {}\nx[1] = x\nx", "{1: {...}}"),
            ("len", "<built-in function len>"),
            ("class A: pass\nA", "<class '__main__.A'>"),
            (
                "import collections\ncollections.Counter('aab')",
                "Counter({'a': 2, 'b': 1})",
            ),
            ("'\\ud800'", "'\\ud800'"),
            ("class A:\n def __repr__(s): return '\\ud800'\nA()", "\ufffd"),
        ):
            with self.subTest(value):
                self.assertEqual(self.texts(value), [plain])
        (long,) = self.texts("list(range(2000))")
        self.assertTrue(long.endswith(", 998, 999, ...]"), long[-50:])

    def test_evil_values(self) -> None:
        for script in (
            a_class("__getattr__(self, name): return lambda *a, **k: 5"),
            a_class("__getattr__(self, name): raise ValueError(name)"),
            a_class("__getattribute__(self, name): raise OSError(name)"),
            (
                "class M(type):\n    def __instancecheck__(c, o): 1/0\n"
                "    def __getattribute__(c, n): 1/0\nclass A(metaclass=M): pass\n"
            ),
            (
                "class M(type):\n    __name__ = __module__ = 5\n"
                "class A(metaclass=M): pass\n"
            ),
            "class A:\n    __class__ = str\n",
            a_class("__eq__(s, o): 1/0", "__bool__(s): 1/0", "__hash__(s): 1/0"),
            "class A(dict):\n    items = keys = __iter__ = None\n",
            "class A(str):\n    __str__ = __len__ = encode = None\n",
            a_class("_repr_html_(s): return type('S', (str,), {'__len__': None})('x')"),
            a_class(
                "_repr_mimebundle_(s, **k): return type('D', (dict,), "
                "{'items': None})({'text/html': 'x', 'a': 'b', '/': 'c'})"
            ),
            a_class("_repr_mimebundle_(s): return {}"),
            a_class("_repr_html_(s): raise SystemExit(4)"),
            a_class("__repr__(s): raise KeyboardInterrupt"),
            a_class("__repr__(s): return 5"),
            a_class("_repr_pretty_(s, p, c): p.text(5)"),
            a_class("_repr_pretty_(s, p, c): p.pretty(s)"),
            "class A:\n    _repr_html_ = 5\n",
            a_class("__repr__(s): return display(s) or ''"),
        ):
            with self.subTest(script):
                _, ended = show(script + "A()")
                ended.result  # noqa: B018  (fails if there is none)
                _, ended = show(
                    script
                    + "try:\n    display(A())\nexcept BaseException:\n    pass\n1"
                )
                self.assertEqual(ended.result, 1)

    def test_a_class_is_no_instance(self) -> None:
        forms = self.forms(a_class("_repr_html_(self): return 'x'") + "A")
        self.assertEqual([*forms], ["text/plain"])

    def test_a_repr_that_is_too_long(self) -> None:
        for value, size in (
            (a_class("__repr__(s): return 'x' * 100_000_000") + "A()", 100_000_000),
            (a_class("__repr__(s): return 'é' * 300_000") + "A()", 600_000),
            ("'x' * 100_000_000", None),
            ("b'x' * 1_000_000", None),
            ("['x' * 1000] * 1000", None),
        ):
            with self.subTest(value):
                _, ended = show(value, result_bytes=100)
                plain = ended.displays[0]["text/plain"]["text"]
                self.assertLessEqual(len(plain.encode()), FORM_BYTES)
                self.assertGreater(len(plain.encode()), FORM_BYTES - 4)
                self.assertEqual(plain[-1], MARK)
                (omitted,) = ended.displays_omitted
                self.assertEqual(omitted.get("bytes"), size)
                self.assertEqual(
                    (omitted["display"], omitted["type"], omitted["limit"]),
                    (1, "text/plain", "display_bytes"),
                )
                self.assertIsNone(ended.result)

    def test_forms_that_are_too_long(self) -> None:
        _, ended = show(
            a_class(
                f"_repr_html_(s): return 'é' * {FORM_BYTES}",
                f"_repr_markdown_(s): return 'x' * {FORM_BYTES}",
                f"_repr_json_(s): return ['x' * {FORM_BYTES}]",
                "__repr__(s): return 'A'",
            )
            + "display(A())"
        )
        self.assertEqual([*ended.displays[0]], ["text/markdown", "text/plain"])
        html, as_json = ended.displays_omitted
        self.assertEqual(
            html,
            {
                "display": 1,
                "type": "text/html",
                "limit": "display_bytes",
                "bytes": 2 * FORM_BYTES,
            },
        )
        self.assertEqual(as_json["type"], "application/json")

    def test_all_forms_together(self) -> None:
        for text, most in (("x", 1 << 20), ("\\x01", 1 << 20)):
            with self.subTest(text):
                _, ended = show(f"for _ in range(40): display('{text}' * 60_000)")
                size = sum(len(d["text/plain"]["text"]) for d in ended.displays)
                self.assertLessEqual(size, most)
                self.assertGreater(size, most / 8)
                lost = [o for o in ended.displays_omitted if o["type"] == ""]
                self.assertEqual(len(lost) + len(ended.displays), 40)

    def test_too_many(self) -> None:
        _, ended = show("for i in range(70): display(i)\n'last'")
        self.assertEqual(len(ended.displays), 64)
        self.assertEqual(
            ended.displays_omitted,
            [{"display": n, "type": "", "limit": "displays"} for n in range(65, 72)],
        )
        _, ended = show("for i in range(10_000): display(i)")
        self.assertEqual(len(ended.displays_omitted), 256)
        many = "{f'text/x-{i:02}': 'x' for i in range(30)} | {'text/not this': 'x'}"
        _, ended = show(f"display({{**{many}, 'text/plain': 'p'}}, raw=True)")
        self.assertEqual(len(ended.displays[0]), 16)
        self.assertEqual(len(ended.displays_omitted), 15)
        self.assertEqual(ended.notes, ["display 1: text/not this is not a media type"])

    def test_files_that_do_not_fit(self) -> None:
        script = a_class("_repr_png_(s): return b'x' * 1000", "__repr__(s): return 'A'")
        for limits, limit in (
            ({"output_files": 1}, "output_files"),
            ({"output_files_bytes": 1500}, "output_files_bytes"),
            ({"file_bytes": 900}, "file_size"),
        ):
            with self.subTest(limit):
                files, ended = show(script + "display(A(), A())", **limits)
                first = {"display-1.png"} if limit != "file_size" else set()
                self.assertEqual(set(files), first)
                self.assertEqual([*ended.displays[1]], ["text/plain"])
                self.assertEqual(
                    ended.displays_omitted[-1],
                    {
                        "display": 2,
                        "type": "image/png",
                        "limit": limit,
                        "bytes": 1000,
                    },
                )
                self.assertEqual(
                    ended.omitted[-1],
                    {"name": "display-2.png", "size": 1000, "limit": limit},
                )
        files, ended = show(
            script + "open('outputs/a', 'w').write('x' * 1000)\nA()",
            output_files_bytes=1500,
        )
        self.assertEqual([*files], ["a"])
        self.assertEqual([*ended.displays[0]], ["text/plain"])
        self.assertEqual(ended.displays_omitted[0]["limit"], "output_files_bytes")

    def test_names_that_are_taken(self) -> None:
        files, ended = show(
            a_class("_repr_png_(s): return b'x'")
            + "open('outputs/display-1.png', 'w').close()\nA()"
        )
        self.assertEqual(files, {"display-1.png": b"", "display-2.png": b"x"})
        self.assertEqual(ended.displays[0]["image/png"], {"file": "display-2.png"})

    def test_the_cell_keeps_its_recursion_limit(self) -> None:
        _, ended = show(
            "import sys\nsys.setrecursionlimit(500)\nsys.set_int_max_str_digits(0)\n"
            + a_class("_repr_json_(s): return {}")
            + "display(A())\n[sys.getrecursionlimit(), sys.get_int_max_str_digits()]"
        )
        self.assertEqual(ended.result, [500, 0])

    def test_threads(self) -> None:
        self.assertEqual(
            len(
                self.texts(
                    "from concurrent.futures import ThreadPoolExecutor\n"
                    "with ThreadPoolExecutor(4) as pool:\n"
                    "    _ = list(pool.map(display, range(50)))\n"
                )
            ),
            50,
        )


@unittest.skipUnless(HAVE_PANDAS, "needs pandas")
class Tables(unittest.TestCase):
    def test_a_frame_and_a_series(self) -> None:
        _, ended = show(
            "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\n"
            "display(df.a)\ndf.head()"
        )
        series, frame = ended.displays
        self.assertEqual([*series], ["text/plain"])
        self.assertIn("Name: a, dtype: int64", series["text/plain"]["text"])
        self.assertEqual([*frame], ["text/html", "text/plain"])
        self.assertIn(
            '<table border="1" class="dataframe">', frame["text/html"]["text"]
        )
        self.assertEqual(ended.result["data"], [[1], [2]])

    def test_an_array(self) -> None:
        _, ended = show("import numpy as np\nnp.arange(3)")
        self.assertEqual(ended.displays, [{"text/plain": {"text": "array([0, 1, 2])"}}])


@unittest.skipUnless(HAVE_MATPLOTLIB, "needs matplotlib")
class Figures(unittest.TestCase):
    def shown(self, script: str, **job: Any) -> tuple[list[str], list[Any], Outcome]:
        """Run a cell; return its files and the picture of each display, or its text."""
        files, ended = show("import matplotlib.pyplot as plt\n" + script, **job)
        for name in files:
            self.assertEqual(files[name][:8], PNG)
        shown = [
            display.get("image/png", {}).get("file", display["text/plain"]["text"])
            for display in ended.displays
        ]
        return [*files], shown, ended

    def test_open_figures(self) -> None:
        files, shown, ended = self.shown("plt.plot([1])\nplt.figure(5)\nNone")
        self.assertEqual(files, ["figure-1.png", "figure-5.png"])
        self.assertEqual(shown, files)
        self.assertEqual(
            ended.displays[0]["text/plain"]["text"],
            "<Figure size 640x480 with 1 Axes>",
        )
        files, shown, ended = self.shown("plt.plot([1])\n1 / 0")
        self.assertEqual((files, shown), (["figure-1.png"], ["figure-1.png"]))
        self.assertEqual(ended.failure["code"], "exception")

    def test_the_last_value(self) -> None:
        files, shown, ended = self.shown("fig, ax = plt.subplots()\nfig")
        self.assertEqual((files, shown), (["figure-1.png"], ["figure-1.png"]))
        self.assertEqual(ended.result, "figure-1.png")
        files, shown, ended = self.shown("fig, ax = plt.subplots()\nax")
        self.assertEqual(shown, ["<Axes: >", "figure-1.png"])
        self.assertEqual(ended.result, "figure-1.png")
        files, shown, ended = self.shown(
            "from matplotlib.figure import Figure\nFigure()"
        )
        self.assertEqual((files, shown), (["figure-1.png"], ["figure-1.png"]))
        _, shown, _ = self.shown("fig = plt.figure()\nfig;")
        self.assertEqual(shown, ["figure-1.png"])

    def test_displayed_figures(self) -> None:
        files, shown, _ = self.shown("fig = plt.figure()\ndisplay(fig)")
        self.assertEqual((files, shown), (["figure-1.png"], ["figure-1.png"]))
        files, shown, _ = self.shown(
            "for i in range(2):\n    fig = plt.figure()\n    plt.plot([i])\n"
            "    display(fig)\n    plt.close(fig)"
        )
        self.assertEqual(files, ["figure-1.png", "figure-2.png"])
        self.assertEqual(shown, files)

    def test_show(self) -> None:
        for before in ("", "import matplotlib\nfrom pylab import *\n"):
            with self.subTest(before):
                files, shown, ended = self.shown(
                    f"{before}plt.plot([1])\nplt.show()\nprint(plt.get_fignums())\n"
                    "display(1)\nplt.plot([2])\nplt.figure()\nplt.show(block=True)\n"
                    "plt.show()\nplt.title('x')\nplt.__loader__.name"
                )
                names = [f"figure-{number}.png" for number in range(1, 5)]
                self.assertEqual(sorted(files), names)
                self.assertEqual(
                    shown, [names[0], "1", *names[1:3], "'matplotlib.pyplot'", names[3]]
                )
                self.assertEqual(ended.stdout, "[]\n")

    def test_a_figure_that_changes_after_it_was_displayed(self) -> None:
        files, shown, _ = self.shown(
            "fig = plt.figure()\ndisplay(fig)\nplt.plot([1])\ndisplay(2)"
        )
        self.assertEqual(files, ["figure-1.png", "figure-2.png"])
        self.assertEqual(shown, ["figure-2.png", "2", "figure-1.png"])

    def test_a_figure_that_does_not_fit(self) -> None:
        files, shown, ended = self.shown("plt.plot([1])\nNone", file_bytes=1000)
        self.assertEqual((files, shown), ([], ["<Figure size 640x480 with 1 Axes>"]))
        (omitted,) = ended.displays_omitted
        self.assertEqual(
            (omitted["type"], omitted["limit"]), ("image/png", "file_size")
        )
        self.assertGreater(omitted["bytes"], 1000)
        files, shown, ended = self.shown(
            "plt.plot([1])\nNone", cpu_seconds=0.01, wall_seconds=30
        )
        self.assertEqual(
            ended.displays_omitted,
            [{"display": 1, "type": "image/png", "limit": "cpu"}],
        )

    def test_a_figure_that_cannot_be_drawn(self) -> None:
        files, shown, ended = self.shown("plt.title('$\\\\foo$')\nNone")
        self.assertEqual((files, len(shown)), ([], 1))
        self.assertIn("figure-1.png could not be saved", ended.notes[0])
        files, shown, ended = self.shown("plt.title('$\\\\foo$')\ndisplay(plt.gcf())")
        self.assertIn("the drawing of the figure raised ValueError", ended.notes[0])
