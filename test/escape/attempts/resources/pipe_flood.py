# tries: 1 GB on stdout and on stderr, faster than it is read
# protection: output beyond the limit is read and discarded, so that nothing blocks or accumulates
# inside: 1 | cpu_limit | timeout
# outside: next at once
# within: 20s
import os


def main():
    chunk = b"x" * (1 << 20)
    for i in range(500):
        os.write(1, chunk)
        os.write(2, chunk)
    return 1
