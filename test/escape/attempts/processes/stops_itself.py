# tries: to stop itself and its children, so that they do not answer
# protection: the worker's own clock; SIGKILL ends stopped processes too
# inside: timeout
# limits: tight
# outside: next at once
import os, signal, subprocess


def main():
    child = subprocess.Popen(["sleep", MARK])
    os.kill(child.pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
