"""Loads and runs once, in the zygote, what its forks then need not."""

import gc
import importlib
import linecache
import os
import sys

from runner import (
    cell,
    failure,
    fonts,
    inputs,
    job,
    program,
    report,
    script,
    serialize,
    text,
)
from runner.displays import Displays
from runner.figures import FigureFiles
from runner.notes import Notes
from runner.output_limits import OutputLimits

# These are imported for the forks, which then find them loaded.
__all__ = ["cell", "inputs", "job", "load", "program"]

_MAX_BYTES = 1 << 20

# The parts of the standard library that scripts use most. Names, so that a missing one
# (a Python built without it) is skipped.
_STANDARD_MODULES = (
    "asyncio", "base64", "bisect", "collections", "concurrent.futures", "copy",
    "csv", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools",
    "hashlib", "heapq", "inspect", "io", "itertools", "json", "linecache", "logging",
    "math", "multiprocessing", "operator", "os", "pathlib", "pickle", "pprint",
    "queue", "random", "re", "resource", "shutil", "signal", "statistics", "string",
    "subprocess", "tempfile", "textwrap", "threading", "time", "traceback",
    "typing", "unicodedata", "uuid", "warnings", "zoneinfo",
)  # fmt: skip

# Each runs code whose first run is slow: the compiler, tracebacks, JSON.
_EXERCISES = (
    "def main():\n    return {'a': [1, 2.5, None, 'x']}\n",
    "x = 1\n",
    "def main(:\n",
    "def main():\n    return {1}\n",
    "def main():\n    return 1 / 0\n",
)

_NUMPY = """
import numpy as np
def main():
    a = np.array([1, 2, 3, 4, 5])
    np.linalg.solve(np.eye(3), np.ones(3))
    np.random.default_rng(1).random()
    return [float(np.mean(a)), int(np.sum(a)), a]
"""

_PANDAS = """
import pandas as pd
def main():
    f = pd.DataFrame({"a": [1, 2, 1], "b": [1.0, 2.0, 3.0]})
    f.groupby("a").sum(), f.describe(), f.merge(f, on="a"), f.to_json(), str(f)
    f._repr_html_()
    return f.to_dict("records")
"""

_MATPLOTLIB = """
import io
import matplotlib.pyplot as plt
def main():
    figure, axes = plt.subplots()
    axes.plot([1, 2], label="a")
    axes.set_title("b")
    axes.legend()
    figure.savefig(io.BytesIO(), format="png")
    plt.close("all")
"""

_SCIPY = """
import numpy as np
from scipy import linalg, optimize, stats
def main():
    linalg.lstsq(np.eye(3), np.ones(3))
    optimize.minimize(lambda x: (x**2).sum(), np.ones(2))
    return stats.ttest_1samp([1.0, 2.0, 4.0], 1.0).pvalue
"""

_SKLEARN = """
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
def main():
    x = np.arange(20.0).reshape(10, 2)
    train, test = train_test_split(StandardScaler().fit_transform(x), random_state=1)
    model = LinearRegression().fit(train, train[:, 0])
    return [float(model.score(test, test[:, 0])), model.coef_]
"""

_FOR_PACKAGE = {
    "numpy": _NUMPY,
    "pandas": _PANDAS,
    "matplotlib": _MATPLOTLIB,
    "scipy": _SCIPY,
    "sklearn": _SKLEARN,
}


def load(packages: list[str], exercises: list[str]) -> None:
    """Import the packages and run what their scripts will run.

    Then run the exercises, the scripts of the environment itself. Raises ImportError
    for a package that is missing.
    """
    for name in _STANDARD_MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    fonts.prepare()
    for name in packages:
        importlib.import_module(name)
    limit = sys.getrecursionlimit()
    for source in (*_EXERCISES, *(_FOR_PACKAGE.get(name, "") for name in packages)):
        _rehearse(source)
    _rehearse_cell()
    for number, source in enumerate(exercises, 1):
        _run_exercise(number, source)
    # Encoding raises it; a script should find Python's default.
    sys.setrecursionlimit(limit)
    _close_fonts()
    # A script that prints a traceback would find their lines as its own.
    linecache.clearcache()
    _start_generators()


def _close_fonts() -> None:
    """Close the fonts that matplotlib has open.

    Forks close inherited descriptors, and a font reads from its file again later.
    """
    if fonts := sys.modules.get("matplotlib.font_manager"):
        fonts._get_font.cache_clear()
        gc.collect()


def _rehearse(source: str) -> None:
    """Process the source as job.py will process a script, and discard the result."""
    fields: dict[str, object]
    try:
        namespace: dict[str, object] = {"__name__": script.MODULE_NAME}
        exec(script.compile_source(source), namespace)  # noqa: S102  (our own text)
        serialize.encode(namespace["main"](), _MAX_BYTES)  # type: ignore[operator]
        return
    except script.RefusedError as error:
        fields = error.report
    except serialize.NotSerializableError as error:
        fields = {"message": error.detail}
    except ArithmeticError as error:
        fields = failure.describe(error, script.Script(source))
    report.encode(fields)
    text.from_json('{"script": "", "result_bytes": 1}')


def _run_exercise(number: int, source: str) -> None:
    """Run an exercise of an environment. One that fails is no reason to do without."""
    try:
        _rehearse(source)
    except (Exception, SystemExit) as error:
        # The worker logs what a zygote prints.
        message = f"exercise {number} failed: {type(error).__name__}: {error}"
        print(message[:500], file=sys.stderr)


def _rehearse_cell() -> None:
    """Process a cell as job.py will, and discard what it displays."""
    cell.Cell("x = {'a': [1, None, 'x']}\nx").compile()
    displays = Displays(FigureFiles(os.getcwd()), OutputLimits({}, {}), Notes())
    displays.show_value({"a": [1, 2.5, None, "x"]})
    displays.encode(set())


def _start_generators() -> None:
    """Initialize the generators that forks reseed, since reseeding alone is cheap."""
    if ssl := sys.modules.get("ssl"):
        ssl.RAND_bytes(1)
