"""Runs a script as a program: as `__main__`, with arguments, without a main()."""

import sys
from functools import partial

from runner import failure, stdio
from runner.script import (
    FILE_NAME,
    Script,
    compile_text,
    hide_from_warnings,
    write_file,
)

_modules = sys.modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.script import Bound


class Program(Script):
    """A script that runs as `python script.py ARGUMENTS` does."""

    module_name = "__main__"
    exit_suffix = ""
    is_program = True

    def __init__(self, source: str, arguments: list[str]) -> None:
        """Keep the text and the arguments (sys.argv[1:])."""
        super().__init__(source)
        self._arguments = arguments

    def wait_for_threads(self) -> None:
        """Wait for threads that are not daemons, as Python does at its exit.

        This belongs to the script's run: its signal handlers still work.
        """
        try:
            if threading := _modules.get("threading"):
                threading._shutdown()
        except BaseException as error:
            stdio.write_stderr(failure.message(error))

    def load(self) -> "Bound":
        """Compile the script; return a function that runs it and returns None.

        Raises RefusedError.
        """
        write_file(self.source)
        code = compile_text(self.source.removeprefix("\ufeff"), FILE_NAME)
        module: Any = self.new_module()
        # As Python has them: multiprocessing runs the file again in each process that
        # it spawns, as `__mp_main__`.
        module.__file__, module.__spec__, module.__cached__ = self.path(), None, None
        sys.argv += self._arguments
        self.namespace = module.__dict__
        return partial(exec, code, self.namespace)


hide_from_warnings(Program.load, Program.wait_for_threads)
