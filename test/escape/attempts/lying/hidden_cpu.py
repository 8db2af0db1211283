# tries: to hide CPU time in a child that is never waited for
# protection: usage is the cgroup's
# inside: "hidden"
# outside: cpu counted
# within: 16s
import os, time


def main():
    read, write = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            end = time.process_time() + 1.2
            while time.process_time() < end:
                pass
            os.write(write, b"x")
        os._exit(0)
    os.wait()
    os.read(read, 1)
    return "hidden"
