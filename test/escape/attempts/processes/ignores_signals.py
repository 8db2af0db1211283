# tries: to ignore every signal, in itself and in children, and to continue
# protection: SIGKILL to the namespace's process 1, by the worker's own clock
# inside: timeout
# limits: tight
# outside: next at once
import os, signal, time


def main():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", MARK])
    while True:
        time.sleep(1)
