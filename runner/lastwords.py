"""Passes on held-back output when the worker is about to end the script.

Text without a newline, and what a stream keeps that the script has put in the
place of stdout, would be lost with the process. The worker shuts its end of the
channel down a moment before it kills; the kernel makes a signal of that.
"""

import _signal  # type: ignore[import-not-found]
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl
from os import O_ASYNC, _exit, getpid
from select import POLLIN, poll

from runner import stdio


def arrange(fd: int) -> None:
    """Flush the streams and exit once the channel fd is shut down.

    Holds until the handler of SIGIO is another one: the script's, or none.
    """
    owner = getpid()
    channel = poll()
    channel.register(fd, POLLIN)

    def leave(_number: int, _frame: object) -> None:
        # Nothing else is left to be read; the kernel also signals free space.
        if getpid() == owner and channel.poll(0):
            stdio.flush()
            _exit(1)

    _signal.signal(_signal.SIGIO, leave)
    fcntl(fd, F_SETOWN, owner)
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC)
