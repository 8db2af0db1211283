# tries: nothing: does small work every 50 ms, and reports the minimum time of the slowest tenth
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
    # Half a millisecond alone. A neighbour may double it; other work on the machine may add more.
    return "served" if took[15] < 0.05 else took
