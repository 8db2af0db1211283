"""A real Cellblock for the tests: Redis, the API and a worker, on free ports."""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TOKEN = secrets.token_urlsafe(24)
# Seconds: a start takes a few, but the machine may be busy.
_TIMEOUT = 90

_SETTINGS = {
    "API_TOKEN": TOKEN,
    "SYNC_WAIT": "1s",  # so that a run soon gets a 202
    "LIMIT_WALL": "8s",
    "WORKER_CONCURRENCY": "4",
    "METRICS_ADDR": "",
    "LOG_FORMAT": "json",
    "CALLBACK_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    "CALLBACK_ALLOW": "127.0.0.0/8",
}


class Service:
    """`cellblock up` with settings that keep the tests short."""

    def __init__(self, folder: Path) -> None:
        """Start it, and wait until it accepts jobs."""
        self._log = folder / "log"
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "CELLBLOCK_PREFIX")
        environment = {n: v for n, v in os.environ.items() if n in kept}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(ROOT / "bin" / "cellblock", "up", "--api-addr", "127.0.0.1:0"),
                    *("--data", folder / "data"),
                ],
                env={**environment, **_SETTINGS},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        until = time.monotonic() + _TIMEOUT
        while time.monotonic() < until and self._process.poll() is None:
            if found := re.search(r"ready: (http://[0-9.:]+)", self.log()):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"cellblock up does not come up:\n{self.log()}")

    def log(self) -> str:
        """The output of all its programs."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """Stop it as Ctrl-C does, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(_TIMEOUT)
