# tries: to hold many file locks in one process that does nothing else, on a file that all jobs may read
# protection: locks are counted by process, whatever the file
# inside: memory_limit
# gvisor: "3,000 locks are held"
# outside: few locks left
# within: 20s
import fcntl, os, time


def main():
    fd = os.open(os.__file__, os.O_RDONLY)
    for start in range(0, 6000, 2):
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, start)
    time.sleep(5)
    return "3,000 locks are held"
