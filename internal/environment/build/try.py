"""Imports each module and runs each exercise, and reports what fails."""

import importlib
import json
import os
import shutil
import sys
import tempfile
import types
import warnings


def report(**line: object) -> None:
    """Write a line for the builder."""
    os.write(3, json.dumps(line).encode() + b"\n")


def describe(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:500]


def run(text: str) -> None:
    """Run a script and its main(), as a zygote does."""
    module = types.ModuleType("exercise")
    exec(compile(text, "exercise", "exec"), module.__dict__)  # noqa: S102  # the operator's own
    module.main()


def main() -> None:
    """Try everything that standard input lists."""
    task = json.load(sys.stdin)
    folder = tempfile.mkdtemp()  # for what modules and exercises write
    os.chdir(folder)
    os.environ.update(HOME=folder, MPLCONFIGDIR=folder)
    warnings.simplefilter("ignore")
    for name in task["modules"]:
        report(begin=name)
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  # a module may exit
            report(failed=describe(error))
    for number, text in enumerate(task["exercises"] or (), 1):
        report(begin=f"exercise {number}")
        try:
            run(text)
        except BaseException as error:  # noqa: BLE001  # likewise
            report(failed=describe(error))
    shutil.rmtree(folder, ignore_errors=True)
    report(done=True)
    os._exit(0)  # whatever threads a module left


main()
