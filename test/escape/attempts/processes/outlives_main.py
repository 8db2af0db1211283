# tries: children and threads that go on when main() has returned, with the outputs held open
# protection: the job's process leaves at once, and its namespace's process 1 is killed
# inside: "returned"
# outside: next at once
import os, subprocess, threading, time


def main():
    for _ in range(5):
        subprocess.Popen(["sleep", MARK])
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "returned"
