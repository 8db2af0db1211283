"""Compiles a script and loads it: here, as a module with a main().

The other entries are subclasses: program.py runs a script as a program, cell.py as a
cell of a notebook.
"""

import os
import sys
from _warnings import filters as _warning_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType
    from typing import Any

    from runner.displays import Displays
    from runner.figures import FigureFiles
    from runner.notes import Notes
    from runner.output_limits import OutputLimits

    # A main() that needs no arguments any more.
    Bound = Callable[[], object]

FILE_NAME = "script.py"
MODULE_NAME = "script"
MISSING_MAIN = "Script must contain a 'def main():' function"
# The hint of a missing main(), if something else is there to run.
OTHER_ENTRIES = (
    'the script has statements at top level: "entry": "script" runs it as python '
    'script.py does, "entry": "cell" as a notebook\'s cell'
)

_ModuleType = type(sys)
_RUNNER_MODULES = ["runner"] + [
    "runner." + name.removesuffix(".py")
    for name in os.listdir(os.path.dirname(__file__))
    if name.endswith(".py")
]


def is_coroutine(value: object) -> bool:
    """Report whether this is what calling an `async def` returns."""
    # By the methods of its type, so that compiled ones count; a generator has no
    # __await__, and a future no send.
    kind = type(value)
    return hasattr(kind, "__await__") and hasattr(kind, "send")


def await_value(value: "Any") -> object:
    """Run a coroutine to its end. Raises what the script raises."""
    # Only now: to import asyncio takes longer than most scripts run.
    import asyncio

    return asyncio.run(value)


def hide_from_warnings(*functions: "Any") -> None:
    """Let warnings that point below the script name `sys`, as Python does.

    A warning names the frame that its stacklevel reaches. Below the script these are
    the runner's, whose paths mean nothing to the script's author.
    """
    for function in functions:
        function.__code__ = function.__code__.replace(co_filename="sys")


class _Loader:
    """Returns the script's source, whatever its working directory is now."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, _name: str) -> str:
        return self._source


class _Spec:
    """The spec that multiprocessing, tracebacks and imports read from the script.

    From a name with this ending, a process that multiprocessing spawns knows that it
    must not run the script a second time, as `__mp_main__`.
    """

    name = MODULE_NAME + ".__main__"
    parent = ""
    cached = submodule_search_locations = None
    has_location = True
    _initializing = False

    def __init__(self, loader: _Loader, origin: str) -> None:
        self.loader, self.origin = loader, origin


class RefusedError(Exception):
    """The script cannot be run. Carries the report."""

    def __init__(self, report: dict[str, object]) -> None:
        """Keep the report; protocol.md describes its fields."""
        super().__init__(report["message"])
        self.report = report


class Script:
    """One script: its text and the directory in which it starts."""

    # The file name of its code, and the name of its module.
    file_name = FILE_NAME
    module_name = MODULE_NAME
    # How the message on a SystemExit goes on behind the code.
    exit_suffix = " before main() returned"
    # Whether it ends as a program does: SystemExit with code 0 is no failure, and
    # threads and child processes are waited for.
    is_program = False
    # What a cell displays; None for any other script.
    displays: "Displays | None" = None

    def __init__(self, source: str) -> None:
        """Keep the text; nothing is compiled or run yet."""
        self.source = source
        self._bind: Callable[[Any], Bound] = lambda main: main
        self.home = os.getcwd()
        self.namespace: dict[str, object] = {}

    def bind_args(
        self, args: dict[str, object], bind: "Callable[..., Bound]", mismatch: "Any"
    ) -> None:
        """Let bind() bind the arguments to main(); it may raise mismatch."""

        def bind_to(main: "Any") -> "Bound":
            try:
                return bind(main, args)
            except mismatch as error:
                report: dict[str, object] = {
                    "code": "args_mismatch",
                    "message": str(error),
                }
                raise RefusedError(report) from None

        self._bind = bind_to

    def prepare(
        self, figure_files: "FigureFiles", limits: "OutputLimits", notes: "Notes"
    ) -> None:
        """Prepare for the run, before load()."""

    def is_awaited(self, value: object) -> bool:
        """Report whether what the loaded script returned must be awaited."""
        return is_coroutine(value)

    def wait_for_threads(self) -> None:
        """Wait for threads if the script's end does. Never raises."""

    def load(self) -> "Bound":
        """Load the module and return its main(), with the arguments bound.

        Raises RefusedError, or what the script raises.
        """
        write_file(self.source)
        code = compile_source(self.source)
        module: Any = self.new_module()
        module.__file__ = self.path()
        module.__spec__ = _Spec(module.__loader__, module.__file__)
        sys.modules["__main__"] = module
        _show_deprecations()
        self.namespace = module.__dict__
        exec(code, self.namespace)  # noqa: S102  (running it is the purpose)
        main = self.namespace.get("main")
        if not callable(main):
            raise RefusedError(_missing_main_report())
        return self._bind(main)

    def new_module(self) -> "ModuleType":
        """Make the script's module and the environment that a script expects."""
        _remove_runner_modules()
        module: Any = _ModuleType(self.module_name)
        module.__loader__ = _Loader(self.source.removeprefix("\ufeff"))
        # Last in the order of modules: those behind it are the script's imports.
        sys.modules.pop(self.module_name, None)
        sys.modules[self.module_name] = module
        sys.argv = [self.file_name]
        sys.path.insert(0, self.home)
        return module  # type: ignore[no-any-return]

    def path(self) -> str:
        """Return the path of the script's file."""
        return f"{self.home.rstrip('/')}/{FILE_NAME}"

    def lines(self) -> list[str]:
        """Return the lines as Python counts them, each with its line feed."""
        return _lines(self.source)


def _show_deprecations() -> None:
    """Show the script's DeprecationWarnings, as Python does for __main__."""
    for index, entry in enumerate(_warning_filters):
        if entry[3] == "__main__":
            _warning_filters.insert(index, (*entry[:3], MODULE_NAME, entry[4]))
            return


def _remove_runner_modules() -> None:
    # The script may have a module called runner; the runner's are all imported. By
    # name: a loop over all modules would touch the pages of each, which a fork of a
    # zygote must copy.
    for name in _RUNNER_MODULES:
        sys.modules.pop(name, None)


hide_from_warnings(await_value, Script.load)


def _missing_main_report() -> dict[str, object]:
    """Return the report of a missing main()."""
    return {"code": "missing_main", "message": MISSING_MAIN}


def compile_source(source: str) -> "CodeType":
    """Compile the script and check that it may bind main. Raises RefusedError."""
    # Python accepts a byte order mark in a file, but not in a string.
    source = source.removeprefix("\ufeff")
    code: CodeType = compile_text(source, FILE_NAME)
    if not _has_plain_definition(code, "main"):
        # To set up the node classes takes longer than to compile most scripts.
        from runner import binding

        if not binding.binds(source, "main"):
            report = _missing_main_report()
            if binding.has_statements(source):
                report["hint"] = OTHER_ENTRIES
            raise RefusedError(report)
    return code


def compile_text(
    source: "Any", file_name: str, flags: int = 0, mode: str = "exec", text: str = ""
) -> "Any":
    """Compile a text, or a syntax tree of text. Raises RefusedError."""
    text = text or source
    try:
        return compile(source, file_name, mode, flags, dont_inherit=True)
    except SyntaxError as error:
        raise RefusedError(_syntax_error_report(error, text)) from None
    except (RecursionError, MemoryError, OverflowError):
        message = "SyntaxError: the script is nested too deeply to be compiled"
        raise RefusedError({"code": "syntax_error", "message": message}) from None
    except Exception as error:
        # ValueError: NUL or a lone surrogate. Others are bugs of the compiler.
        message = f"SyntaxError: the script cannot be compiled: {error}"
        raise RefusedError({"code": "syntax_error", "message": message}) from None


def _has_plain_definition(code: "CodeType", name: str) -> bool:
    """Report whether the module has a plain def or class of that name.

    The compiled code shows it, and for nearly every script the check ends here.
    """
    kind = type(code)
    return any(type(c) is kind and c.co_qualname == name for c in code.co_consts)


def _syntax_error_report(error: SyntaxError, source: str) -> dict[str, object]:
    message = f"{type(error).__name__}: {error.msg}"
    report: dict[str, object] = {"code": "syntax_error", "message": message}
    if error.lineno is not None and error.lineno > 0:
        report["line"] = error.lineno
        report["text"] = _line(error.lineno, error.text, source)
    if error.offset is not None and error.offset > 0:
        report["column"] = error.offset
    return report


def _line(number: int, known: str | None, source: str) -> str:
    # Errors found after parsing carry no text.
    if known is None:
        known = "".join(_lines(source)[number - 1 : number])
    return known.rstrip("\r\n")


def _lines(source: str) -> list[str]:
    plain = source.replace("\r\n", "\n").replace("\r", "\n")
    return [line + "\n" for line in plain.split("\n")]


def write_file(source: str) -> None:
    """Write the script to the working directory.

    Processes that multiprocessing spawns import it from there, and tracebacks that the
    script prints find its lines. The job can run without it, so errors are ignored.
    """
    try:
        fd = os.open(FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(fd, source.encode("utf-8", "replace"))
        finally:
            os.close(fd)
    except OSError:
        pass
