# tries: to leave a process in its own session, with another parent and closed outputs
# protection: the death of the namespace's process 1
# inside: "left"
# outside: next at once
import os, subprocess, sys


def main():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 4)
            os.execv("/bin/sleep", ["sleep", MARK])
        os._exit(0)
    os.wait()
    return "left"
