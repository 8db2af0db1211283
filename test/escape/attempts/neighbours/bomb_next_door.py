# tries: to starve a neighbour by a fork bomb
# protection: pids.max for each job, equal weights of CPU time
# beside: beside/quick
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
