# tries: SIGKILL to process group 0, and to -1
# protection: a session of its own: only the job itself is in it
# inside: killed SIGKILL
# outside: next at once
import os, signal


def main():
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody else is here
    os.kill(0, signal.SIGKILL)
