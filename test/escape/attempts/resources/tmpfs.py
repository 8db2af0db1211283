# tries: to fill /tmp and /dev/shm, which lie in memory
# protection: the mounts' own size, and the memory limit, for which they count
# inside: [28,28]
# limits: tight
import os


def main():
    full = []
    for folder in ("/tmp", "/dev/shm"):
        try:
            for i in range(300):
                with open(f"{folder}/{i}", "wb") as f:
                    f.write(b"x" * (1 << 20))
            full.append("no end")
        except OSError as e:
            full.append(e.errno)
        for i in range(300):
            if os.path.exists(f"{folder}/{i}"):
                os.unlink(f"{folder}/{i}")
    return full
