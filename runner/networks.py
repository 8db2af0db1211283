"""Network namespaces for sandboxes, without an interface that is up.

To make one and to remove it again is a large part of what a short job costs. So they
are kept: each serves one sandbox at a time, and the next one only when every process of
the last is dead. Then nothing is left in it, since a script can make no socket that has
a name, and change nothing that belongs to the namespace.
"""

import os

from runner import confine


class Networks:
    """The network namespaces of a zygote's forks, each as an open descriptor."""

    def __init__(self) -> None:
        """Open the zygote's own, which no fork gets. Raises OSError."""
        self._own = _open_own()
        self._unused: list[int] = []

    def take(self) -> int:
        """Return a namespace without a process; its owner calls give_back.

        Raises OSError if none can be made.
        """
        if self._unused:
            return self._unused.pop()
        confine.unshare(confine.NEWNET)
        try:
            return _open_own()
        finally:
            confine.enter(self._own, confine.NEWNET)

    def give_back(self, network: int) -> None:
        """Take back a namespace of which every process is dead."""
        self._unused.append(network)


def _open_own() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
