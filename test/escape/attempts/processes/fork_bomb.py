# tries: a fork bomb
# protection: pids.max and RLIMIT_NPROC, the CPU limit, the death of the namespace's process 1
# inside: cpu_limit | timeout | memory_limit | process_limit
# outside: next at once
# limits: tight
import os


def main():
    while True:
        try:
            os.fork()
        except OSError:
            pass
