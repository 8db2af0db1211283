# tries: to report a verdict that only the worker may give: a timeout, memory_limit, killed, worker_lost
# protection: the worker takes codes of the runner's only, and no limit and no signal from it
# inside: exit
import json, os, struct


def main():
    payload = json.dumps({
        "code": "memory_limit", "message": "forged", "signal": "SIGKILL", "limit": {"name": "memory", "value": 1, "unit": "bytes"},
    }).encode()
    os.write(3, b"E" + struct.pack(">I", len(payload)) + payload)
    os._exit(0)
