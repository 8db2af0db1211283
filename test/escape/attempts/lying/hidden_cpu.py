# tries: to hide CPU time in a child that is never waited for
# protection: usage is the cgroup's
# inside: "hidden"
# outside: cpu counted
import os, time


def main():
    if os.fork() == 0:
        if os.fork() == 0:
            end = time.process_time() + 1.2
            while time.process_time() < end:
                pass
        os._exit(0)
    os.wait()
    time.sleep(5)
    return "hidden"
