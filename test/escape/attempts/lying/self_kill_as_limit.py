# tries: to look like a limit: SIGXCPU, SIGXFSZ and SIGKILL to itself
# protection: a signal alone proves no limit
# inside: killed SIGXCPU
import os, signal


def main():
    os.kill(os.getpid(), signal.SIGXCPU)
