# tries: to show a file of the worker, or of another job, as the job's own display
# protection: a display names only files that came over the channel of the same job
# inside: exit
# outside: next at once
import json
import os
import struct


def main():
    forms = [{"type": "image/png", "file": "../../../../etc/passwd"}]
    payload = json.dumps({"displays": [{"forms": forms}]}).encode()
    frames = b"D" + struct.pack(">I", len(payload)) + payload
    os.write(3, frames + b"R" + struct.pack(">I", 1) + b"1")
    return 2
