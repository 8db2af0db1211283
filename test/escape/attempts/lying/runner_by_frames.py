# tries: to reach the runner through frames and gc, and to forge its response: it may forge its own, and no more
# protection: enforced verdicts and usage come from outside
# inside: "forged" | timeout
# limits: tight
import gc, os, struct, sys, time


def main():
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing).__name__ == "Channel":
            thing.send(b"R", b'"forged"')
            os._exit(0)
    os.write(3, b"R" + struct.pack(">I", 8) + b'"forged"')
    os._exit(0)
