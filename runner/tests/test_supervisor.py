"""The messages and actions of process 1, and the frames, over real sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from runner.tests import harness


class TestSupervisor(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_a_job_from_start_to_end(self) -> None:
        runner = harness.Runner(self.folder)
        self.assertEqual(runner.receive(), (b"Y", 0, b""))
        # Sent before Y: no part of the job runs beside an unsealed process 1.
        self.assertEqual(runner.status.recv(100), b"ready\n")
        job = {"script": harness.main_returning("3.0"), "result_bytes": 100}
        runner.send(b"J", json.dumps(job).encode())
        self.assertEqual(runner.receive(), (b"R", 3, b"3.0"))
        stdout, stderr, status = runner.finish()
        self.assertEqual((stdout, stderr), (b"", b""))
        self.assertRegex(status, r"\Astatus 0 \d+ \d+\n\Z")
        self.assertEqual(runner.process.returncode, 0)

    def test_joins_every_cgroup_once(self) -> None:
        pipes = [os.pipe() for _ in range(3)]
        fds = [inner for _, inner in pipes]
        arguments = [word for fd in fds for word in ("--cgroup-fd", str(fd))]
        runner = harness.Runner(self.folder, arguments, fds=fds)
        for fd in fds:
            os.close(fd)
        self.assertEqual(runner.receive(), (b"Y", 0, b""))
        for outer, _ in pipes:
            os.set_blocking(outer, False)
            with open(outer, "rb") as file:
                self.assertEqual(file.read(), b"0")
        runner.channel.shutdown(socket.SHUT_RDWR)
        runner.finish()

    def test_no_process_keeps_what_it_was_given(self) -> None:
        script = """
import os
def main():
    return sorted(int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2)
"""
        outer, inner = os.pipe()
        with tempfile.TemporaryDirectory() as folder:
            ended = harness.run_in(
                folder, script, arguments=("--cgroup-fd", str(inner)), fds=[inner]
            )
        os.close(outer)
        os.close(inner)
        # The channel, and the directory being listed.
        self.assertEqual(len(ended.result), 2)

    def test_a_cgroup_that_refuses_is_told(self) -> None:
        with open("/dev/full", "wb") as full:
            number = str(full.fileno())
            runner = harness.Runner(
                self.folder, ["--cgroup-fd", number], fds=[full.fileno()]
            )
        self.assertEqual(runner.receive(), (b"", 0, b""))
        status = runner.finish()[2]
        self.assertRegex(status, r"\Aerror OSError: .*No space left.*\n\Z")
        self.assertEqual(runner.process.returncode, 1)

    def test_wrong_arguments(self) -> None:
        for arguments in ([], ["--status-fd", "3"], ["--nope", "3"], ["--status-fd"]):
            with self.subTest(arguments):
                command = [sys.executable, "-I", "-B", str(harness.MAIN), *arguments]
                ended = subprocess.run(command, capture_output=True, check=False)
                self.assertEqual(ended.returncode, 2)
                self.assertTrue(ended.stderr.startswith(b"runner: ValueError:"))

    def test_a_sandbox_that_is_let_go(self) -> None:
        runner = harness.Runner(self.folder)
        runner.receive()
        runner.channel.shutdown(socket.SHUT_WR)
        self.assertRegex(runner.finish()[2], r"\Aready\nstatus 0 \d+ \d+\n\Z")

    def test_what_is_no_job_ends_it(self) -> None:
        for kind, payload in (
            (b"X", b"{}"),
            (b"J", b"[]"),
            (b"J", b"{"),
            (b"J", b"{}"),
        ):
            with self.subTest(payload):
                runner = harness.Runner(self.folder)
                runner.receive()
                runner.send(kind, payload)
                self.assertEqual(runner.receive(), (b"", 0, b""))
                self.assertRegex(runner.finish()[2], r"\nstatus 256 ")

    def test_cpu_time_is_the_jobs(self) -> None:
        script = harness.main_returning("sum(range(8_000_000))")
        user = int(harness.run(script).status.split()[3])
        self.assertGreater(user, 50_000)

    def test_wait_status_is_raw(self) -> None:
        for act, want in (
            ("os._exit(0)", 0),
            ("os._exit(7)", 7 << 8),
            ("os.kill(os.getpid(), 9)", int(signal.SIGKILL)),
            ("os.kill(os.getpid(), 15)", int(signal.SIGTERM)),
        ):
            for script in (f"import os\n{act}", f"import os\ndef main(): {act}"):
                with self.subTest(script):
                    ended = harness.run(f"main = None\n{script}")
                    self.assertEqual(ended.kind, b"")
                    # If core dumps are allowed, the status has another bit.
                    self.assertEqual(ended.wait_status & ~0x80, want)

    def test_the_job_cannot_look_into_process_1(self) -> None:
        script = """
import os
def main():
    parent, found = os.getppid(), []
    for name in ("mem", "fd", "environ", "maps"):
        try:
            path = f"/proc/{parent}/{name}"
            os.listdir(path) if name == "fd" else open(path, "rb").read(1)
            found.append(name)
        except OSError as error:
            pass
    return found
"""
        # Root may read everything; the job of a sandbox is never root.
        os.chmod(self.folder, 0o777)
        ended = harness.run_as_nobody_in(self.folder, script)
        self.assertEqual(ended.result, [])

    def test_the_job_has_a_session_of_its_own(self) -> None:
        script = harness.main_returning(
            "[os.getsid(0) == os.getpid(), os.getsid(0) != os.getsid(os.getppid())]",
            "import os",
        )
        self.assertEqual(harness.run(script).result, [True, True])

    def test_interrupting_process_1_does_nothing(self) -> None:
        script = harness.main_returning(
            "os.kill(os.getppid(), signal.SIGINT)", "import os, signal"
        )
        ended = harness.run(script)
        self.assertIsNone(ended.result)
        self.assertEqual(ended.exit, 0)

    def test_what_the_job_left_running_is_not_waited_for(self) -> None:
        script = """
import threading, time
def main():
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return "done"
"""
        ended = harness.run(script)
        self.assertEqual((ended.result, ended.stdout), ("done", ""))

    def test_frames_that_come_in_pieces(self) -> None:
        runner = harness.Runner(self.folder)
        runner.receive()
        payload = json.dumps({"script": harness.main_returning("1")}).encode()
        for byte in b"J" + len(payload).to_bytes(4, "big") + payload:
            runner.channel.sendall(bytes([byte]))
        self.assertEqual(runner.receive(), (b"R", 1, b"1"))
        runner.finish()

    def test_too_large_a_result_is_only_announced(self) -> None:
        for expression in ('"x" * 99', '["x" * 1_000_000] * 100_000'):
            with self.subTest(expression):
                runner = harness.Runner(self.folder)
                runner.receive()
                script = harness.main_returning(expression)
                job = {"script": script, "result_bytes": 100}
                runner.send(b"J", json.dumps(job).encode())
                kind, length, _ = runner.receive(most=100)
                self.assertEqual((kind, length > 100), (b"R", True))
                self.assertEqual(runner.channel.recv(1), b"")
                runner.finish()
        ended = harness.run(harness.main_returning('"x" * 98'), 100)
        self.assertEqual((ended.length, ended.result), (100, "x" * 98))

    def test_a_large_result_passes_whole(self) -> None:
        ended = harness.run(harness.main_returning('"é" * (2 * 1024 * 1024 - 1)'))
        self.assertEqual(ended.length, harness.MAX_BYTES)
        self.assertEqual(
            ended.payload.decode(), '"' + "é" * (2 * 1024 * 1024 - 1) + '"'
        )
