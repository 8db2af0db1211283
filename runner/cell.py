"""Runs a script as a notebook's cell: the value of its last expression is the result.

`await` works at top level, and `display()` shows a value.
"""

import builtins
import linecache
from _ast import Expr, Expression, PyCF_ALLOW_TOP_LEVEL_AWAIT, PyCF_ONLY_AST
from functools import partial

from runner import display_function, pyplot_show
from runner.displays import Displays
from runner.mime_bundle import Selection
from runner.script import RefusedError, Script, compile_text, hide_from_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import CodeType
    from typing import Any

    from runner.figures import FigureFiles
    from runner.notes import Notes
    from runner.output_limits import OutputLimits
    from runner.script import Bound

FILE_NAME = "cell"
# The hint of a syntax error in a line that is IPython's, not Python's.
NO_COMMANDS = "a cell here is plain Python: no % or ! commands"

_eval = eval
_IS_COROUTINE = 0x80  # inspect.CO_COROUTINE
_FUTURES = 0x1FE0000  # the flags of `from __future__ import`, all of them
# Between the last expression and what follows it.
_BETWEEN = b" \t\f\\\r\n"


class Cell(Script):
    """A script that runs as a cell of a notebook does."""

    file_name = FILE_NAME
    module_name = "__main__"
    exit_suffix = ""

    def __init__(self, source: str) -> None:
        """Keep the text; nothing is compiled or run yet."""
        super().__init__(source.removeprefix("\ufeff"))
        self._body: CodeType | None = None
        self._last: CodeType | None = None
        # Whether a `;` hides the value of the last expression.
        self._is_quiet = False
        self._run: Coroutine[Any, Any, object] | None = None

    def prepare(
        self, figure_files: "FigureFiles", limits: "OutputLimits", notes: "Notes"
    ) -> None:
        """Make display() a builtin name."""
        self.displays = displays = Displays(figure_files, limits, notes)
        builtins.display = display_function.make(displays)  # type: ignore[attr-defined]
        pyplot_show.install(lambda figure: displays.add(figure, Selection()))

    def is_awaited(self, value: object) -> bool:
        """Report whether the value is the run of the cell, which has an `await`."""
        return self._run is not None and value is self._run

    def load(self) -> "Bound":
        """Run the cell up to its last expression; return a function with its value.

        If the cell has an `await`, return a function that returns a coroutine which
        does all of that. Raises RefusedError, or what the cell raises.
        """
        self.compile()
        # For warnings, which look nowhere else for the lines of a text.
        entry = (len(self.source), None, self.lines(), FILE_NAME)
        linecache.cache[FILE_NAME] = entry
        module: Any = self.new_module()
        module.__spec__ = None
        self.namespace = module.__dict__
        parts = [part for part in (self._body, self._last) if part is not None]
        if any(map(_is_async, parts)):
            self._run = self._run_parts(parts)
            return lambda: self._run
        # Made now: the cell may break the builtins.
        last: Bound = _nothing
        if self._last is not None:
            last = partial(eval, self._last, self.namespace)
            if self._is_quiet:
                last = partial(_discard, last)
        eval(parts[0], self.namespace)  # noqa: S307  (running it is the purpose)
        return last

    async def _run_parts(self, parts: "list[CodeType]") -> object:
        value = None
        for part in parts:
            value = _eval(part, self.namespace)
            if _is_async(part):
                value = await value
        return None if self._last is None or self._is_quiet else value

    def compile(self) -> None:
        """Compile the cell and its last expression. Raises RefusedError."""
        flags = PyCF_ALLOW_TOP_LEVEL_AWAIT
        try:
            tree = self._compile_part(self.source, PyCF_ONLY_AST | flags)
            last = tree.body[-1] if tree.body else None
            if isinstance(last, Expr):
                del tree.body[-1]
                self._is_quiet = self._ends_in_semicolon(last)
            else:
                last = None
            self._body = self._compile_part(tree, flags)
            if last is not None:
                flags |= self._body.co_flags & _FUTURES
                self._last = self._compile_part(Expression(last.value), flags, "eval")
        except RefusedError as error:
            if _is_command(str(error.report.get("text", ""))):
                error.report["hint"] = NO_COMMANDS
            raise

    def _compile_part(self, part: "Any", flags: int, mode: str = "exec") -> "Any":
        return compile_text(part, FILE_NAME, flags, mode, self.source)

    def _ends_in_semicolon(self, last: "Any") -> bool:
        """Report whether a `;` follows the last expression."""
        lines = self.lines()[last.end_lineno - 1 :]
        rest = lines[0].encode("utf-8", "surrogatepass")[last.end_col_offset :]
        rest += "".join(lines[1:]).encode("utf-8", "surrogatepass")
        return rest.lstrip(_BETWEEN).startswith(b";")


def _nothing() -> None:
    """Return the value of a cell that does not end with an expression."""


def _discard(last: "Bound") -> None:
    """Evaluate the last expression, whose value is hidden."""
    last()


def _is_async(code: "CodeType") -> bool:
    return code.co_flags & _IS_COROUTINE != 0


def _is_command(line: str) -> bool:
    """Report whether a line that is not Python may be a command of IPython's."""
    line = line.strip()
    assigned = line.partition("=")[2].lstrip()
    return (
        line.startswith(("%", "!", "?"))
        or line.endswith("?")
        or assigned.startswith(("%", "!"))
    )


hide_from_warnings(Cell.load, Cell._run_parts, _discard)
