# tries: a regular expression that backtracks without end, in C code that checks no signals
# protection: the CPU limit, SIGKILL
# inside: cpu_limit
# limits: tight
import re, signal


def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    re.match(r"(a+)+$", "a" * 40 + "b")
