# tries: a namespace that takes long to take down, while its zygote has to serve others
# incident: found here: the zygote waited for the namespace's end, and was killed as one that hangs
# protection: the zygote does not wait, and the time that the kernel needs is not held against it
# inside: "many"
# outside: next at once
import mmap, os, signal


def main():
    page = mmap.mmap(-1, 200 << 20)
    page.write(b"x" * (200 << 20))
    for _ in range(50):
        if os.fork() == 0:
            signal.pause()
    return "many"
