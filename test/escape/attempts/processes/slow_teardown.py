# tries: to make the teardown of its namespace slow, while the zygote has to serve other jobs
# incident: found here: the zygote waited for the namespace's end, and was killed because it seemed to hang
# protection: the zygote does not wait, and the kernel's teardown time does not count against it
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
