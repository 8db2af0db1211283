# tries: more processes than are allowed
# protection: pids.max, exact for the job, with RLIMIT_NPROC a little above it
# inside: 64
# gvisor: 65
# outside: next at once
import os, signal


def main():
    started = 1
    while started < 300:
        try:
            if os.fork() == 0:
                signal.pause()
        except BlockingIOError:
            break
        started += 1
    return started
