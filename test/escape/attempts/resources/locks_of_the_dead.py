# tries: to hold file locks of processes that are dead: two processes share their descriptors, one locks and dies
# incident: see locks.py; a lock stays as long as any process has the descriptors, and names the one that made it
# protection: the filter refuses clone with CLONE_FILES, except for threads
# inside: "refused"
import fcntl, os, time

_FILES_AND_SIGCHLD = 0x400 | 17


def main():
    fd = os.open("/tmp/file", os.O_CREAT | os.O_RDWR)
    for number in range(10):
        child, error = syscall(56 if os.uname().machine == "x86_64" else 220, _FILES_AND_SIGCHLD, 0, 0, 0, 0)
        if child == -1:
            return "refused" if error == 1 else error
        if child == 0:
            for start in range(number * 1000, number * 1000 + 1000):
                fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, start * 2)
            os._exit(0)
        os.waitpid(child, 0)
    time.sleep(2)
    return "10,000 locks of the dead are held"
