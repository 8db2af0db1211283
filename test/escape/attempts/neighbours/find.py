# tries: to find a neighbour's processes, files, memory and sockets
# protection: pid and mount namespaces, /proc with its own processes only
# beside: beside/listener
# inside: []
import os

OURS = ("script.py", "outputs", ".tmp", ".mat" "plotlib")  # the whole name would start the zygote that has it


def main():
    found = [p for p in os.listdir("/proc") if p.isdigit() and p not in ("1", str(os.getpid()))]
    found += [p for p in range(1, 40000) if p not in (1, os.getpid()) and os.path.exists(f"/proc/{p}/status")]
    for folder in ("/tmp", "/dev/shm", "/proc/1/root/tmp"):
        try:
            found += [f for f in os.listdir(folder) if f not in OURS]
        except OSError:
            pass
    return found
