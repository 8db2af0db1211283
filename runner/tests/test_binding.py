"""What counts as a module-level binding of main, and what does not."""

import sys
import unittest

from runner import binding

LEGAL = [
    "def main(): pass",
    "async def main(): pass",
    "class main: pass",
    "main = 1",
    "a = main = 1",
    "a, (b, *main) = 1, (2, 3)",
    "[a, main] = 1, 2",
    "main: int = 1",
    "main += 1",
    "import main",
    "import main.sub",
    "import a.b as main",
    "from a import main",
    "from a import b as main",
    "from a import *",
    "for main in []: pass",
    "for a, main in []: pass",
    "with a as main: pass",
    "with a as (b, main): pass",
    "try: pass\nexcept E as main: pass",
    "try: pass\nexcept* E as main: pass",
    "try: pass\nexcept E: pass\nelse: main = 1",
    "try: pass\nfinally: main = 1",
    "if (main := 1): pass",
    "print(main := 1)",
    "[(main := x) for x in y]",
    "[x for x in y if (main := x)]",
    "[[(main := x) for x in y] for y in z]",
    "def f(a=(main := 1)): pass",
    "def f(a: (main := 1)): pass",
    "def f() -> (main := 1): pass",
    "@(main := f)\ndef g(): pass",
    "class A((main := B)): pass",
    "class A(metaclass=(main := B)): pass",
    "lambda a=(main := 1): a",
    "lambda *, a=(main := 1): a",
    "match x:\n case main: pass",
    "match x:\n case [1, *main]: pass",
    "match x:\n case {'a': 1, **main}: pass",
    "match x:\n case int() as main: pass",
    "match x:\n case A(b=[main]): pass",
    "match x:\n case 1: main = 1",
    "if x:\n def main(): pass",
    "if x: pass\nelif y: pass\nelse:\n def main(): pass",
    "while x: main = 1",
    "while x: pass\nelse: main = 1",
    "for x in y: main = 1",
    "with x: main = 1",
    "with x:\n if y:\n  try:\n   def main(): pass\n  finally: pass",
    "def f():\n global main\n main = 1",
    "def f():\n def g():\n  if x:\n   global a, main\n   main = 1",
    "class A:\n global main\n def main(): pass",
    "class A:\n def f(self):\n  global main",
    "async def f():\n async with a:\n  global main",
    "def f():\n match x:\n  case 1:\n   global main",
    "def f():\n try: pass\n except E:\n  global main",
    # Identifiers are compared after NFKC, as in Python.
    "def \uff4dain(): pass",
]

ILLEGAL = [
    "",
    "# def main(): pass",
    "'''\ndef main(): pass\n'''",
    "x = 'def main(): pass'",
    "Main = MAIN = _main = main_ = 1",
    "def f():\n def main(): pass",
    "def f():\n main = 1",
    "def f(main): pass",
    "def f():\n import main",
    "class A:\n def main(self): pass",
    "class A:\n main = 1",
    "[main for main in x]",
    "{main for main in x}",
    "{main: 1 for main in x}",
    "(main for main in x)",
    "[0 for a in b for main in a]",
    "lambda main: main",
    "lambda: (main := 1)",
    "lambda: [(main := 1) for x in y]",
    "main: int",
    "print(main)",
    "a.main = 1",
    "a['main'] = 1",
    "main.a = 1",
    "main[0] = 1",
    "f(main=1)",
    "import a.main",
    "import a as b",
    "from main import a",
    "from a import b",
    "from a import main as b",
    "match x:\n case main.a: pass",
    "match x:\n case A(main=1): pass",
    "match x:\n case _: pass",
    "def f():\n global a\n a = 1",
    "def f():\n nonlocal_ = main",
    "exec('def main(): pass')",
    "globals()['main'] = 1",
    "if 'main' in globals(): pass",
]


class TestBinding(unittest.TestCase):
    def test_legal(self) -> None:
        for source in LEGAL:
            with self.subTest(source):
                self.assertTrue(binding.binds(source, "main"))

    def test_illegal(self) -> None:
        for source in ILLEGAL:
            with self.subTest(source):
                self.assertFalse(binding.binds(source, "main"))

    @unittest.skipIf(sys.version_info < (3, 12), "syntax of Python 3.12")
    def test_type_statement_and_parameters(self) -> None:
        self.assertTrue(binding.binds("type main = int", "main"))
        self.assertTrue(binding.binds("def main[T](a: T): pass", "main"))
        self.assertFalse(binding.binds("def f[main](): pass", "main"))
        self.assertFalse(binding.binds("class A[main]: pass", "main"))
        self.assertFalse(binding.binds("type A[main] = main", "main"))

    def test_what_is_too_deep_for_a_tree_counts(self) -> None:
        for depth in (90, 2500):
            deep = "x = " + " + ".join(["a"] * depth)
            compile(deep, "script.py", "exec")
            binding.binds(deep, "main")
        self.assertTrue(binding.binds(f"{deep}\nmain = 1", "main"))
