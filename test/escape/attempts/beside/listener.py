# tries: nothing: listens on everything that a neighbour could reach, and watches for traces of one
# protection: those of the attempts that run beside it
# inside: []
# gvisor: [] | ["the time of /dev/null"]
import os, select, signal, socket, time


def main():
    heard = []
    for number in range(1, 65):
        try:
            signal.signal(number, lambda n, _: heard.append(["signal", n]))
        except (OSError, ValueError):
            pass
    with open("/tmp/mine", "w") as f:
        f.write("left-by-a-job-" + "123456")
    lonely, peer = socket.socketpair()
    peer.close()
    flags = os.get_blocking(0), os.get_blocking(1)
    before = sorted(os.listdir("/tmp") + os.listdir("/dev/shm") + [p for p in os.listdir("/proc") if p.isdigit()])
    null = os.stat("/dev/null").st_mtime_ns
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        if select.select([0], [], [], 0)[0] and os.read(0, 1):
            heard.append("stdin")
        time.sleep(0.05)
    after = sorted(os.listdir("/tmp") + os.listdir("/dev/shm") + [p for p in os.listdir("/proc") if p.isdigit()])
    if after != before:
        heard.append([before, after])
    if (os.get_blocking(0), os.get_blocking(1)) != flags:
        heard.append("flags of its descriptors")
    if os.stat("/dev/null").st_mtime_ns != null:
        heard.append("the time of /dev/null")
    return heard
