# tries: memory in many children, each below the limit
# protection: the limit applies to the whole cgroup
# inside: memory_limit | exception
# outside: next at once
# limits: tight
import os, signal, time


def main():
    for _ in range(10):
        if os.fork() == 0:
            kept = b"x" * (30 << 20)
            signal.pause()
    time.sleep(3)
    raise MemoryError("nothing stopped it, but each process's own limit")
