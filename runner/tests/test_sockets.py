"""Methods of sockets that are hidden."""

import subprocess
import sys
import unittest
from pathlib import Path

_LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
from runner import sockets
"""


def _run(script: str) -> str:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", _LOAD + script, str(root)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


class TestHideRefused(unittest.TestCase):
    def test_of_a_module_that_is_loaded_later(self) -> None:
        self.assertEqual(
            _run(
                "sockets.hide_refused()\n"
                "assert 'socket' not in sys.modules\n"
                "import socket\n"
                "a, b = socket.socketpair()\n"
                "names = 'sendmsg', 'recvmsg', 'recvmsg_into', 'send', 'recv_into'\n"
                "print([hasattr(x, n) for x in (a, socket.socket) for n in names])\n"
                "a.send(b'x'); print(b.recv(1), socket.__spec__.name)\n"
                "print([f for f in sys.meta_path if 'runner' in f.__module__])\n"
            ),
            "[False, False, False, True, True, False, False, False, True, True]\n"
            "b'x' socket\n[]\n",
        )

    def test_of_a_loaded_module(self) -> None:
        self.assertEqual(
            _run(
                "import _socket, socket\n"
                "sockets.hide_refused()\n"
                "a, b = socket.socketpair()\n"
                "print(hasattr(a, 'sendmsg'), _socket.socket.sendmsg(a, [b'xy']))\n"
            ),
            "False 2\n",
        )

    def test_what_libraries_choose_then(self) -> None:
        self.assertEqual(
            _run(
                "sockets.hide_refused()\n"
                "import asyncio, multiprocessing\n"
                "print(getattr(asyncio.selector_events, '_HAS_SENDMSG', False))\n"
                "print('forkserver' in multiprocessing.get_all_start_methods())\n"
            ),
            "False\nFalse\n",
        )
