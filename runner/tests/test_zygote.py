"""What a zygote does with the children that it did not start, as inside gVisor."""

import os
import signal
import socket
import types
import typing
import unittest

from runner.zygote import Sandbox, Zygote


def child(code: int) -> int:
    """Start a child that ends with a code, and wait until it is a zombie."""
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


class Orphans(unittest.TestCase):
    """Processes that gVisor makes children of the zygote."""

    def setUp(self) -> None:
        """Make a zygote with one sandbox, whose init lives."""
        self.control, other = socket.socketpair()
        self.addCleanup(self.control.close)
        self.addCleanup(other.close)
        plan: typing.Any = types.SimpleNamespace(gvisor=True)
        self.zygote = Zygote(self.control, plan)
        self.init = os.fork()
        if self.init == 0:
            signal.pause()
        self.addCleanup(os.waitpid, self.init, 0)
        self.addCleanup(os.kill, self.init, signal.SIGKILL)

    def sandbox(self, job: int) -> Sandbox:
        """Return one whose pidfds are closed after the test."""
        made = Sandbox(1, self.init, job, -1)
        self.addCleanup(os.close, made.init_pidfd)
        self.addCleanup(os.close, made.job_pidfd)
        return made

    def test_orphans_are_reaped(self) -> None:
        """All of them, at once."""
        orphans = [child(1) for _ in range(5)]
        self.zygote._reap_orphans()
        for orphan in orphans:
            with self.assertRaises(ChildProcessError):
                os.waitpid(orphan, os.WNOHANG)

    def test_the_end_of_a_sandbox_is_kept(self) -> None:
        """Its status counts, even if an orphan's turn came first."""
        job = child(7)
        self.zygote._sandboxes[1] = self.sandbox(job)
        self.zygote._reap_orphans()
        status, usage = self.zygote._wait(job)
        self.assertEqual(os.waitstatus_to_exitcode(status), 7)
        self.assertGreaterEqual(usage.ru_utime, 0)
        self.assertEqual(self.zygote._ended, {})

    def test_a_living_init_is_left_alone(self) -> None:
        """It has not ended."""
        self.zygote._sandboxes[1] = self.sandbox(os.getpid())
        self.zygote._reap_orphans()
        os.kill(self.init, 0)
        self.assertEqual(self.zygote._ended, {})


if __name__ == "__main__":
    unittest.main()
