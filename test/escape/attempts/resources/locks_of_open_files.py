# tries: to hold file locks that belong to no process: those of open file descriptions
# incident: see locks.py; /proc/locks lists them with the process -1
# protection: the filter refuses F_OFD_SETLK, F_OFD_SETLKW and F_OFD_GETLK
# inside: ["PermissionError","PermissionError","PermissionError"]
import fcntl, os, struct


def main():
    fd = os.open("/tmp/file", os.O_CREAT | os.O_RDWR)
    seen = []
    for command in (36, 37, 38):
        try:
            fcntl.fcntl(fd, command, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
            seen.append("allowed")
        except OSError as e:
            seen.append(type(e).__name__)
    return seen
