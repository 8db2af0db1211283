"""Flushes output when the worker is about to kill the script.

Text without a newline would be lost with the process, and so would what a stream holds
back that replaces stdout. The worker shuts down its end of the channel a moment before
it kills, and the kernel sends a signal for that.
"""

import _signal  # type: ignore[import-not-found]
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl
from os import O_ASYNC, _exit, getpid
from select import POLLIN, poll

from runner import stdio


def install(fd: int) -> None:
    """Flush the streams and exit once the worker shuts down the channel fd.

    This works until the script sets its own handler for SIGIO, or none.
    """
    owner = getpid()
    channel = poll()
    channel.register(fd, POLLIN)

    def flush_and_exit(_number: int, _frame: object) -> None:
        # Readable means shut down: no data is due. The kernel also signals free space.
        if getpid() == owner and channel.poll(0):
            stdio.flush()
            _exit(1)

    _signal.signal(_signal.SIGIO, flush_and_exit)
    fcntl(fd, F_SETOWN, owner)
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC)
