# tries: a forged success, and then more memory than is allowed
# protection: enforced verdicts win over reported ones
# inside: memory_limit | killed SIGKILL | 42
# limits: tight
import os, struct


def main():
    os.write(3, b"R" + struct.pack(">I", 2) + b"42")
    kept = []
    while True:
        kept.append(b"x" * (10 << 20))
