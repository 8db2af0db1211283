# tries: children and threads that continue after main() has returned, and hold the outputs open
# protection: the job's process exits at once, and process 1 of its namespace is killed
# inside: "returned"
# outside: next at once
import os, subprocess, threading, time


def main():
    for _ in range(5):
        subprocess.Popen(["sleep", MARK])
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "returned"
