# tries: nothing: does small work every 50 ms, and tells how long the slowest tenth took at least
# protection: those of the attempts that run beside it
# inside: "served"
import time


def main():
    took = []
    for _ in range(30):
        began = time.monotonic()
        sum(range(20_000))
        took.append(time.monotonic() - began)
        time.sleep(0.05)
    took.sort()
    # Half a millisecond alone. A neighbour may double it, and other work on the machine more.
    return "served" if took[15] < 0.05 else took
