# tries: to find the shared memory that a job before it left
# protection: a /dev/shm of its own
# inside: []
import os


def main():
    ours = ("script.py", "outputs", ".tmp", ".mat" "plotlib")  # the whole name would start the zygote that has it
    return [f for folder in ("/dev/shm", "/tmp") for f in os.listdir(folder) if f not in ours]
