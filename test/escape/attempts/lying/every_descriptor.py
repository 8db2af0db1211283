# tries: to write what looks like the protocol to every descriptor that it can find or guess, and to every path to one
# protection: only the channel and the outputs are open; the first report counts
# inside: "the first"
# outside: next at once
import os, struct


def frame(text):
    return b"R" + struct.pack(">I", len(text)) + text


def main():
    os.write(3, frame(b'"the first"'))
    for fd in range(4, 256):
        for text in (frame(b'"second"'), b"ended 1 0 0 0\n", b"status 0 0 0\n", b"ready\n", b"0", b"fork 1 1"):
            try:
                os.write(fd, text)
            except OSError:
                pass
    for pid in ("self", "1", "2"):
        for fd in range(0, 16):
            try:
                with open(f"/proc/{pid}/fd/{fd}", "wb", 0) as f:
                    f.write(b"status 9 0 0\n")
            except OSError:
                pass
    return "not this"
