"""The last frame of a job: its result, or how the script failed."""

from runner import channel, failure, hints, report, serialize, stdio, text
from runner.channel import Channel
from runner.figures import FigureFiles
from runner.notes import Notes
from runner.script import RefusedError, Script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_SERIALIZABLE = "main() must return a JSON-serializable object"
# The hint of a cell that imports from IPython.
NO_IPYTHON = (
    "IPython is not installed: display() is there without an import, and shows what "
    "_repr_html_ and the like return"
)
_NULL = b"null"
# The most bytes of the reason why a cell has no result.
_REASON_BYTES = 1024


class EndFrame:
    """The frame that reports how the script ended."""

    def __init__(
        self, kind: bytes, payload: bytes, length: int = 0, exit_code: int = 0
    ) -> None:
        """Send only the header of a frame of that length, if length is not 0.

        exit_code is that of a program which ends so.
        """
        self._kind, self._payload, self._length = kind, payload, length
        self.exit_code = exit_code

    def send(self, to: Channel) -> None:
        """Send the frame. Raises OSError if the worker is gone."""
        if self._length:
            to.send_header(self._kind, self._length)
        else:
            to.send(self._kind, self._payload)


# Made before the script runs, for when memory is exhausted.
_NO_MEMORY = EndFrame(
    channel.FAILURE,
    report.encode(
        {"code": "exception", "message": "MemoryError", "hint": hints.MEMORY}
    ),
    exit_code=1,
)


def of_result(
    value: object, max_bytes: int, figure_files: FigureFiles, notes: Notes
) -> EndFrame:
    """Encode what main() returned, or describe why that is not possible.

    Adds to notes. May raise MemoryError, or what a thread of the script raises in here.
    A program returns None.
    """
    try:
        return EndFrame(
            channel.RESULT, serialize.encode(value, max_bytes, figure_files, notes)
        )
    except serialize.TooLargeError as error:
        # The worker refuses it for its length and reads no further.
        length = min(error.length, channel.MAX_PAYLOAD)
        return EndFrame(channel.RESULT, b"", length)
    except serialize.NotSerializableError as error:
        notes.clear()
        fields: dict[str, object] = {
            "code": "not_serializable",
            "message": NOT_SERIALIZABLE,
            "detail": error.detail,
        }
        return EndFrame(channel.FAILURE, report.encode(fields))


def of_cell(
    value: object, max_bytes: int, figure_files: FigureFiles, notes: Notes
) -> EndFrame:
    """Encode the value of a cell's last expression; null if that is not possible.

    Adds to notes. May raise what of_result raises.
    """
    changes = Notes()
    try:
        data = serialize.encode(value, max_bytes, figure_files, changes)
    except serialize.TooLargeError:
        reason = f"has a JSON of more than {max_bytes} bytes"
    except serialize.NotSerializableError as error:
        reason = f"has no JSON: {error.detail}"
    else:
        notes.extend(changes)
        return EndFrame(channel.RESULT, data)
    reason = text.shorten(reason, _REASON_BYTES)
    notes.add(f"result is null, since the last expression's value {reason}")
    return EndFrame(channel.RESULT, _NULL)


def of_error(error: "Any", script: Script) -> EndFrame:
    """Describe what the script raised. May raise MemoryError, as of_result does."""
    # Any, and type(): isinstance() may raise for an exception of the script.
    code = 1
    if type(error) is RefusedError:
        fields = error.report
    elif issubclass(type(error), SystemExit):
        code = exit_code(error)
        if script.is_program and code == 0:
            return EndFrame(channel.RESULT, _NULL)
        message = f"the script exited with code {code}{script.exit_suffix}"
        fields = {"code": "exit", "message": message, "exit_code": code}
    else:
        fields = failure.describe(error, script)
        if script.displays is not None and _misses_ipython(fields):
            fields["hint"] = NO_IPYTHON
    return EndFrame(channel.FAILURE, report.encode(fields), exit_code=code)


def _misses_ipython(fields: dict[str, object]) -> bool:
    missing = "ModuleNotFoundError: No module named 'IPython"
    return str(fields["message"]).startswith(missing)


def of_any_error(error: "Any", script: Script) -> EndFrame:
    """Describe an error that was raised while the frame was made. Never raises."""
    try:
        if not issubclass(type(error), MemoryError):
            return of_error(error, script)
    except BaseException:
        pass
    return _NO_MEMORY


def exit_code(error: "Any") -> int:
    """Return the exit code that Python would use, 0 to 255; print a text as it does."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        # Python keeps what fits a C long, and the kernel its lowest byte.
        number = int.__int__(code)
        return number & 0xFF if -(2**63) <= number < 2**63 else 0xFF
    stdio.write_stderr(str(code))
    return 1
