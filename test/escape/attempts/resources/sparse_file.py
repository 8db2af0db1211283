# tries: a file of 1 PiB that takes no room, by truncate, by seek and by fallocate
# protection: RLIMIT_FSIZE
# inside: []
import os


def main():
    fd = os.open("/tmp/sparse", os.O_CREAT | os.O_RDWR)
    made = succeeded("truncate", os.ftruncate, fd, 1 << 50)
    made += succeeded("fallocate", os.posix_fallocate, fd, 0, 1 << 50)
    os.lseek(fd, 1 << 50, os.SEEK_SET)
    made += succeeded("write", os.write, fd, b"x")
    return made + ([os.fstat(fd).st_size] if os.fstat(fd).st_size > 1 << 20 else [])
