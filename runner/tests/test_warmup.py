"""What a zygote loads, and what it must not keep."""

import importlib.util
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = [
    name
    for name in ("numpy", "pandas", "matplotlib")
    if importlib.util.find_spec(name) is not None
]
SCRIPT = """
import builtins, os, sys
sys.path.insert(0, sys.argv[1])
found = len(sys.meta_path)
before = set(os.listdir("/proc/self/fd"))
from runner import warmup
warmup.load(sys.argv[2:], [])
for fd in sorted(set(os.listdir("/proc/self/fd")) - before):
    try:
        print(os.readlink("/proc/self/fd/" + fd))
    except OSError:
        pass
if hasattr(builtins, "display") or len(sys.meta_path) > found:
    print("a rehearsed cell is not over")
if "matplotlib.pyplot" in sys.modules:
    show = sys.modules["matplotlib.pyplot"].show
    if show.__code__.co_filename.startswith(sys.argv[1]):
        print("show() is a cell's")
"""


class Warmup(unittest.TestCase):
    def test_no_descriptor_is_left(self) -> None:
        """Forks close inherited descriptors, which would break what uses one."""
        ended = subprocess.run(
            [sys.executable, "-I", "-B", "-c", SCRIPT, ROOT, *PACKAGES],
            env={**os.environ, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, ""), ended.stderr)
