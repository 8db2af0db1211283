# tries: files without end, and folders 1,000 deep
# protection: the mounts' number of inodes, and the memory limit
# inside: [28,1000]
# outside: next at once
import os


def main():
    code = 0
    try:
        for i in range(100_000):
            os.close(os.open(f"/tmp/f{i}", os.O_CREAT))
    except OSError as e:
        code = e.errno
    os.chdir("/dev/shm")
    deep = 0
    for _ in range(1000):
        os.mkdir("d")
        os.chdir("d")
        deep += 1
    return [code, deep]
