# tries: success, written to the channel by hand, and then a wait beyond the limit
# protection: enforced verdicts win over reported ones
# inside: timeout
# limits: tight
import os, struct, time


def main():
    os.write(3, b"R" + struct.pack(">I", 2) + b"42")
    time.sleep(600)
