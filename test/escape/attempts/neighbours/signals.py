# tries: to signal a neighbour by number, by group and by a pidfd
# incident: kill(0, …) reached jobs forked by the same zygote
# protection: a pid namespace and a session of its own, a user of its own
# beside: beside/listener
# inside: "alive"
# outside: next at once
import os, signal


def main():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    for pid in (0, -1, *range(-3000, 0), *range(1, 3000)):
        try:
            os.kill(pid, signal.SIGUSR1)
        except OSError:
            pass
        if pid > 0:
            try:
                signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGUSR1)
            except OSError:
                pass
    return "alive"
