# tries: to leave names that do not exist in the kernel's cache, where they outlive the job: 93 MB of them
# incident: found here: four jobs of 400,000 failed look-ups left 568 MB to the machine
# protection: they count as the job's memory, and the worker frees them when it removes the job's group
# inside: "looked up"
# gvisor: "looked up" | timeout
# outside: few names left
# within: 30s
import os, time


def main():
    mark = time.time_ns()
    for n in range(200_000):
        os.path.exists(f"/usr/lib/{mark}-{n:0200}")
    return "looked up"
