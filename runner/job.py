"""The job's process: receives one script over the channel, runs it, reports its end.

It does not depend on how the process was made: forked by the supervisor, or by a zygote
that imported all modules long before.
"""

import _signal  # type: ignore[import-not-found]
import builtins
import sys
from _collections import defaultdict  # type: ignore[import-not-found]
from _functools import partial  # type: ignore[import-not-found]

# Bound at import: a script that breaks `os` or `sys` still gets its report.
from os import _exit, getcwd, getpid
from resource import RLIMIT_FSIZE as _RLIMIT_FSIZE
from resource import setrlimit as _setrlimit

from runner import (
    channel,
    early_stop,
    end_frame,
    entries,
    failure,
    figures,
    finish,
    fonts,
    hints,
    outputs,
    report,
    stdio,
    text,
)
from runner.channel import Channel
from runner.notes import Notes
from runner.output_limits import OutputLimits
from runner.script import Script, await_value, hide_from_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from runner.displays import Displays

# Fields of a J frame with inputs beside the script.
_INPUT_FIELDS = frozenset(("args", "stdin", "env", "rlimits"))

_builtins = dict(vars(builtins))
_restore_builtins = vars(builtins).update
_modules = sys.modules
_settrace, _setprofile = sys.settrace, sys.setprofile
_getsignal, _set_signal = _signal.getsignal, _signal.signal
_set_recursion_limit = sys.setrecursionlimit
_RECURSION_LIMIT = sys.getrecursionlimit()
# Released when the script has ended, to leave memory for the report. Until then it
# takes address space only: zeroed memory is never touched. It is several times what
# Python and libc request from the kernel at once (1 MiB), and has room for the
# traceback module.
_reserve: list[bytes] = []
_RESERVE_BYTES = 8 << 20


class _RefusedInputError(Exception):
    """An input cannot be applied. Carries the report."""

    def __init__(self, report: dict[str, object]) -> None:
        super().__init__(report["message"])
        self.report = report


def reserve() -> None:
    """Reserve memory for the report.

    A zygote does that for its forks, whose limit may be below what is mapped already,
    and after it has made objects immortal: the reserve must be freed.
    """
    if not _reserve:
        _reserve.append(bytes(_RESERVE_BYTES))


def run(fd: int) -> "NoReturn":
    """Run one job on the connected stream socket fd, and exit."""
    to = Channel(fd)
    reserve()
    stdio.prepare()
    fonts.prepare()
    outputs.prepare(getcwd())
    to.send(channel.READY)
    owner = getpid()
    try:
        script, max_bytes, limits = _receive(to)
    except EOFError:
        # The worker discards this sandbox.
        _exit(0)
    except _RefusedInputError as refused:
        to.send(channel.FAILURE, report.encode(refused.report))
        _exit(0)
    notes = Notes()
    figure_files = figures.FigureFiles(script.home)
    script.prepare(figure_files, limits, notes)
    early_stop.install(fd)
    hints.watch_file_size()
    try:
        ending = _run_script(script, max_bytes, owner, figure_files, notes)
    except BaseException as error:
        if getpid() != owner:
            _exit(1)  # a copy that the script forked; the first process reports
        ending = end_frame.of_any_error(error, script)
    _draw_figures(script, figure_files, limits, notes)
    _run_exit_handlers(script)
    if getpid() != owner:
        _exit(0)  # a copy that a handler forked
    stdio.flush()
    # Also for a report that does not arrive, since a program may close the channel: its
    # exit code then decides alone.
    status = ending.exit_code if script.is_program else 0
    try:
        sent = outputs.send(to, script.home, limits, figure_files.drawn, notes)
        if script.displays is not None:
            _send_displays(to, script.displays, sent, notes)
        _send_notes(to, notes, limits)
        ending.send(to)
    finally:
        # At once: threads and children are not waited for, and nothing of the script
        # runs after its report.
        _exit(status)


def _run_exit_handlers(script: Script) -> None:
    """Do what Python does at its exit. Errors do not cost the result."""
    stdio.flush()
    try:
        try:
            finish.run(script)
        except BaseException as error:
            stdio.write_stderr(failure.message(error))
        _restore_builtins(_builtins)
        _restore_interpreter()
    except BaseException:
        # An alarm of the script, which was due and is gone now.
        _restore_builtins(_builtins)
        _restore_interpreter()


def _draw_figures(
    script: Script,
    figure_files: figures.FigureFiles,
    limits: OutputLimits,
    notes: Notes,
) -> None:
    """Draw the figures while the script's modules are complete."""
    try:
        figure_files.draw(limits, notes)
        if script.displays is not None:
            script.displays.close()
    except BaseException as error:
        stdio.write_stderr(failure.message(error))


def _send_displays(
    to: Channel, displays: "Displays", sent: set[bytes], notes: Notes
) -> None:
    try:
        payload = displays.encode(sent)
    except BaseException as error:
        notes.add(f"the displays are lost: {failure.message(error)}")
        return
    if payload:
        to.send(channel.DISPLAYS, payload)


def _send_notes(to: Channel, notes: Notes, limits: OutputLimits) -> None:
    fields: dict[str, object] = {}
    if limits.omitted:
        fields["files_omitted"] = limits.omitted
    if limits.unlisted:
        notes.add(f"{limits.unlisted} more files did not fit and are not listed")
    if texts := notes.texts():
        fields["notes"] = texts
    if fields:
        to.send(channel.NOTES, text.to_utf8(text.to_json(fields)))


def _receive(to: Channel) -> tuple[Script, int, OutputLimits]:
    kind, length = to.receive()
    input_files: dict[str, tuple[int, int]] = {}
    if kind == channel.FILE:
        kind, length = _write_input_files(to, kind, length, input_files)
    request = text.from_json(to.read(length).decode())
    if kind != channel.JOB or not isinstance(request, dict):
        raise ValueError(f"a frame {kind!r} where a job was due")
    max_bytes = request.get("result_bytes", channel.MAX_PAYLOAD)
    script = entries.make_script(request)
    if not _INPUT_FIELDS.isdisjoint(request):
        from runner import inputs

        try:
            inputs.apply_inputs(request)
        except inputs.TooLargeError as error:
            raise _refused_input(error) from None
        if isinstance(args := request.get("args"), dict) and args:
            script.bind_args(args, inputs.make_binder(), inputs.MismatchError)
    if size := request.get("file_bytes"):
        # Only now: inputs may be larger than the files that a script may write.
        _setrlimit(_RLIMIT_FSIZE, (size, size))
    limits = OutputLimits(request, input_files)
    if env := request.get("env"):
        # Last: it may run code of the script's, to which all limits apply.
        inputs.set_environment(env)
    return script, min(max_bytes, channel.MAX_PAYLOAD), limits


def _write_input_files(
    to: Channel, kind: bytes, length: int, input_files: dict[str, tuple[int, int]]
) -> tuple[bytes, int]:
    """Write the files of I frames; return the header of the frame after them."""
    from runner import inputs

    while kind == channel.FILE:
        try:
            path, size_and_checksum = inputs.write_file(to, length)
            input_files[path] = size_and_checksum
        except inputs.TooLargeError as error:
            raise _refused_input(error) from None
        kind, length = to.receive()
    return kind, length


def _refused_input(error: Exception) -> _RefusedInputError:
    fields: dict[str, object] = {"code": "input_too_large", "message": str(error)}
    return _RefusedInputError(fields)


def _run_script(
    script: Script,
    max_bytes: int,
    owner: int,
    figure_files: figures.FigureFiles,
    notes: Notes,
) -> end_frame.EndFrame:
    value, error = _call_main(script)
    if getpid() != owner:
        _exit_forked_copy(error, script)
    try:
        figure_files.name_open_figures()
        if error is not None:
            return end_frame.of_error(error, script)
        if script.displays is None:
            return end_frame.of_result(value, max_bytes, figure_files, notes)
        script.displays.show_value(value)
        return end_frame.of_cell(value, max_bytes, figure_files, notes)
    except BaseException as raised:
        # No memory for the JSON, or an interruption by a thread of the script.
        return end_frame.of_error(raised, script)


def _call_main(script: Script) -> tuple[object, BaseException | None]:
    """Run the script to its end; return what it returned and what it raised."""
    returned: dict[str, object] = defaultdict()
    error: BaseException | None = None
    try:
        try:
            _run_to_end(script, returned)
        except BaseException as raised:
            error = raised
        # A function can be interrupted as it is called, before its first line.
        _restore_interpreter()
    except BaseException:
        # An alarm of the script, which was due and is gone now.
        _restore_interpreter()
    # After the return, only an alarm of the script can have been raised.
    if error is None or (
        _VALUE in returned and not script.is_awaited(returned[_VALUE])
    ):
        return returned[_VALUE], None
    return None, error


_VALUE = "value"


def _run_to_end(script: Script, returned: "defaultdict[str, object]") -> None:
    """Run the script and keep its return value.

    A defaultdict calls main() and keeps what it returns within one operation in C: a
    signal that comes at the end of main() is handled after that.
    """
    try:
        returned.default_factory = script.load()
        value = returned[_VALUE]
        _restore_builtins(_builtins)
        if script.is_awaited(value):
            returned.default_factory = partial(await_value, returned.pop(_VALUE))
            value = returned[_VALUE]
    finally:
        # First: the rest needs them.
        _restore_builtins(_builtins)
        script.wait_for_threads()


def _restore_interpreter() -> None:
    """Undo what the script set that would act on this code."""
    _reserve.clear()
    sys.modules = _modules
    _settrace(None)
    _setprofile(None)
    _set_recursion_limit(_RECURSION_LIMIT)
    # An alarm that is still due must not raise in here. The C module is used because
    # `signal` makes an enum member of each number.
    for number in range(1, _signal.NSIG):
        if callable(_getsignal(number)):
            _set_signal(number, _signal.SIG_IGN)


def _exit_forked_copy(error: "Any", script: Script) -> "NoReturn":
    """Exit a process that the script forked and let return from main().

    Only the first process reports; this one exits as Python would.
    """
    code = 0
    if issubclass(type(error), SystemExit):
        code = end_frame.exit_code(error)
    elif error is not None:
        fields = failure.describe(error, script)
        stdio.write_stderr(str(fields.get("traceback", fields["message"])).rstrip("\n"))
        code = 1
    del error
    _run_exit_handlers(script)
    stdio.flush()
    _exit(code)


hide_from_warnings(run, _run_script, _call_main, _run_to_end)
