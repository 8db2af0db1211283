"""Takes the webhooks of jobs: checks the signature, and takes each only once.

python3 -m pip install standardwebhooks
CALLBACK_SECRET=whsec_... python3 receiver.py [PORT]
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["CALLBACK_SECRET"])
seen = set()  # webhook-ids; a real one keeps them where a restart finds them


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what Cellblock has signed, and 400 to all else."""

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            message = webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            self.send_error(400)
            return
        if self.headers["webhook-id"] not in seen:  # it may come more than once
            seen.add(self.headers["webhook-id"])
            job = message["data"]
            print(job["job_id"], job["status"], job.get("result"), flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print("listening on", server.server_port, flush=True)
    server.serve_forever()
