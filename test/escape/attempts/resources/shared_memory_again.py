# tries: to find the shared memory that a job before it left
# protection: a /dev/shm of its own
# inside: []
import os


def main():
    return os.listdir("/dev/shm") + [f for f in os.listdir("/tmp") if f != "script.py"]
