"""Callbacks of the real service, as a receiver reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import cellblock
import pytest

from scripts import FAILING, HELLO


class Receiver:
    """Receives callbacks, and answers 204."""

    def __init__(self) -> None:
        bodies: Queue[bytes] = Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.put(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.bodies = bodies
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ended?secret=x"

    def next(self) -> cellblock.CallbackMessage:
        return cellblock.CallbackMessage.from_json(self.bodies.get(timeout=30))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    serving = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    serving.start()
    yield made
    made.server.shutdown()
    serving.join()
    made.server.server_close()


def test_the_end_of_a_job_is_posted(client: Any, receiver: Receiver) -> None:
    accepted = client.submit(HELLO, callback_url=receiver.url)
    message = receiver.next()
    assert message.type == "job.ended"
    assert message.data.job_id == accepted.job_id
    assert message.data.finished_at == message.timestamp
    assert (message.data.result, message.data.stdout) == (49, "hello\n")
    callback = client.wait(accepted.job_id).callback
    assert callback.url == receiver.url.partition("?")[0]
    assert callback.attempts <= 1  # recorded only after the receiver's response


def test_a_failure_is_posted(client: Any, receiver: Receiver) -> None:
    with pytest.raises(cellblock.ScriptRaised) as caught:
        client.run(FAILING, callback_url=receiver.url)
    with pytest.raises(cellblock.ScriptRaised) as told:
        receiver.next().data.raise_for_failure()
    assert told.value.job_id == caught.value.job_id


def test_invalid_callback_url_is_refused(client: Any) -> None:
    with pytest.raises(cellblock.InvalidRequest, match="callback_url"):
        client.submit(HELLO, callback_url="ftp://host")
