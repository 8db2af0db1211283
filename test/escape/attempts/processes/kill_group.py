# tries: SIGKILL to process group 0, and to -1
# protection: its own session, which contains only the job itself
# inside: killed SIGKILL
# outside: next at once
import os, signal


def main():
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass  # no other process here
    os.kill(0, signal.SIGKILL)
