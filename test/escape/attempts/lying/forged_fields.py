# tries: a reported exception with the fields of an enforced verdict in it
# protection: signal and limit are measured from outside, or absent
# inside: exception
import json, os, struct


def main():
    payload = json.dumps({
        "code": "exception", "message": "forged", "signal": "SIGKILL", "limit": {"name": "memory", "value": 1, "unit": "bytes"},
    }).encode()
    os.write(3, b"E" + struct.pack(">I", len(payload)) + payload)
    os._exit(0)
