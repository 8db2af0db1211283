# tries: to report a verdict that only the worker may set: a timeout, memory_limit, killed, worker_lost
# protection: the worker accepts only codes of the runner, and no limit or signal from it
# inside: exit
import json, os, struct


def main():
    payload = json.dumps({
        "code": "memory_limit", "message": "forged", "signal": "SIGKILL", "limit": {"name": "memory", "value": 1, "unit": "bytes"},
    }).encode()
    os.write(3, b"E" + struct.pack(">I", len(payload)) + payload)
    os._exit(0)
