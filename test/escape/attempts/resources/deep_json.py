# tries: a result that is nested a million deep, as the runner writes it and as a forged one
# protection: the runner's bound of 500 levels, and the worker's own check of what is on the channel
# inside: exit
# outside: next at once
import os, struct


def main():
    payload = b"[" * 1_000_000 + b"]" * 1_000_000
    os.write(3, b"R" + struct.pack(">I", len(payload)))
    while payload:
        payload = payload[os.write(3, payload):]
    os._exit(0)
