"""Starts main.py as the worker does, but without nsjail."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

MAIN = Path(__file__).resolve().parent.parent / "main.py"
MAX_BYTES = 4 << 20
# Seconds; no test takes more than a few, even on a busy machine.
TIMEOUT = 60
NOBODY = 65534


class Runner:
    """One runner process and the worker's ends of its sockets."""

    def __init__(
        self, directory: str, arguments: Iterable[str] = (), **options: Any
    ) -> None:
        """Start the runner in directory; options go to Popen."""
        # Files, so that no script blocks on a full pipe.
        self._stdout, self._stderr = (tempfile.TemporaryFile() for _ in "oe")  # noqa: SIM115
        self.channel, channel = socket.socketpair()
        self.status, status = socket.socketpair()
        for end in (self.channel, self.status):
            end.settimeout(TIMEOUT)
        fds = (status.fileno(), channel.fileno(), *options.pop("fds", ()))
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-B", MAIN),
                *("--status-fd", str(fds[0]), "--channel-fd", str(fds[1])),
                *arguments,
            ],
            pass_fds=fds,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            **options,
        )
        channel.close()
        status.close()

    def send(self, kind: bytes, payload: bytes) -> None:
        """Send one frame to the runner."""
        self.channel.sendall(kind + len(payload).to_bytes(4, "big") + payload)

    def receive(self, most: int = 1 << 32) -> tuple[bytes, int, bytes]:
        """Wait for a frame: kind, length, and the payload unless it exceeds most.

        Displays and notes are read in any case. All are empty if the channel ends
        without a frame.
        """
        head = self._read_exactly(5)
        length = int.from_bytes(head[1:], "big")
        if length > most and head[:1] not in (b"D", b"N"):
            return head[:1], length, b""
        return head[:1], length, self._read_exactly(length)

    def _read_exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.channel.recv(length - len(data))
            if not part:
                break
            data += part
        return data

    def finish(self) -> tuple[bytes, bytes, str]:
        """Wait for the end; return stdout, stderr and the status socket's data."""
        self.process.wait(TIMEOUT)
        sent = b""
        while part := self.status.recv(1 << 16):
            sent += part
        self.channel.close()
        self.status.close()
        return self._read(self._stdout), self._read(self._stderr), sent.decode()

    @staticmethod
    def _read(file: IO[bytes]) -> bytes:
        with file:
            file.seek(0)
            return file.read()


class Outcome:
    """How a script ended, as the worker sees it."""

    def __init__(self, frame: tuple[bytes, int, bytes], runner: Runner) -> None:
        """Wait for the end of a runner whose answer was read."""
        self.notes: list[str] = []
        self.omitted: list[dict[str, Any]] = []
        self.displays: list[dict[str, Any]] = []
        self.displays_omitted: list[dict[str, Any]] = []
        if frame[0] == b"D":
            # Strictly, as the worker decodes it.
            fields = json.loads(frame[2].decode(), parse_constant=_refuse)
            self.displays = [
                {form.pop("type"): form for form in display["forms"]}
                for display in fields.get("displays", [])
            ]
            self.displays_omitted = fields.get("displays_omitted", [])
            frame = runner.receive(MAX_BYTES)
        if frame[0] == b"N":
            fields = json.loads(frame[2])
            self.notes = fields.get("notes", [])
            self.omitted = fields.get("files_omitted", [])
            frame = runner.receive(MAX_BYTES)
        self.kind, self.length, self.payload = frame
        stdout, stderr, self.status = runner.finish()
        self.stdout, self.stderr = stdout.decode(), stderr.decode()
        self.exit = runner.process.returncode

    @property
    def result(self) -> Any:
        """Return what main() returned; fail if it did not return."""
        if self.kind != b"R":
            raise AssertionError(f"{self.kind!r} {self.payload!r} {self.stderr}")
        return json.loads(self.payload)

    @property
    def failure(self) -> dict[str, Any]:
        """Return the report; fail if there is none."""
        if self.kind != b"E":
            raise AssertionError(f"{self.kind!r} {self.payload!r} {self.stderr}")
        report: dict[str, Any] = json.loads(self.payload)
        return report

    @property
    def wait_status(self) -> int:
        """Return the raw wait status of the job's process."""
        return int(self.status.splitlines()[-1].split()[1])


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def run(script: str, max_bytes: int = MAX_BYTES, **options: Any) -> Outcome:
    """Run a script to its end, in a new directory."""
    with tempfile.TemporaryDirectory() as directory:
        return run_in(directory, script, max_bytes, **options)


def run_in(
    directory: str,
    script: str,
    max_bytes: int = MAX_BYTES,
    inputs: dict[str, Any] | None = None,
    **options: Any,
) -> Outcome:
    """Run a script with these inputs to its end, in this directory."""
    runner = Runner(directory, **options)
    if runner.receive()[0] == b"Y":
        job = {"script": script, "result_bytes": max_bytes, "of_a_later_version": 1}
        job.update(inputs or {})
        runner.send(b"J", json.dumps(job).encode())
    frame = runner.receive(max_bytes)
    while frame[0] == b"F":
        frame = runner.receive(max_bytes)
    return Outcome(frame, runner)


def run_as_nobody_in(directory: str, script: str) -> Outcome:
    """Run a script as an unprivileged user if this one is root; else skip the test."""
    if os.getuid() != 0:
        return run_in(directory, script)
    try:
        return run_in(directory, script, user=NOBODY, group=NOBODY)
    except PermissionError as error:
        raise unittest.SkipTest("nobody may not run this interpreter") from error


def main_returning(expression: str, before: str = "") -> str:
    """Return a script whose main() returns the value of an expression."""
    return f"{before}\ndef main():\n    return {expression}\n"
