# tries: os._exit(0) in a thread while main goes on
# protection: no report and a known exit code: exit, not success
# inside: exit
import os, threading, time


def main():
    threading.Timer(0.1, os._exit, (0,)).start()
    time.sleep(3)
    return 1
