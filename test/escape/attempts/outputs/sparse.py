# tries: to fill the worker's memory or disk with huge sparse files
# protection: RLIMIT_FSIZE, and the worker's bound, checked against the length before anything is read
# inside: files_too_large
# files:
# within: 6s
import os


def main():
    os.mkdir("outputs")
    for i in range(60):
        with open(f"outputs/{i}", "w") as f:
            f.truncate(1 << 20)
    return 1
