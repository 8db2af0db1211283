# tries: to signal every process and every process group that it can name
# incident: kill(0, …) ignores pid namespaces: without its own session a job killed its neighbour
# protection: a pid namespace, its own session, another user
# inside: "alive"
# outside: next at once
import os, signal, time


def main():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    for pid in (0, -1, *range(-200, 0), *range(1, 200)):
        try:
            os.kill(pid, signal.SIGUSR1)
        except OSError:
            pass
    if os.fork() == 0:
        os.setpgid(0, 0)
        os.kill(-1, signal.SIGUSR1)
        os._exit(0)
    os.wait()
    return "alive"
