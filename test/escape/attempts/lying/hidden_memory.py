# tries: to hide memory in a child that is gone when main returns
# protection: usage is the cgroup's
# inside: 0
# outside: memory counted
import os


def main():
    if os.fork() == 0:
        os.setsid()
        kept = b"x" * (100 << 20)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.wait()[1])
