# tries: environ, root, cwd, mem, maps, fd and exe of every other process that /proc shows, and writes to its own
# protection: a pid namespace and a read-only /proc of its own; pid 1 has another user or is not dumpable
# inside: []
import os


def main():
    reached = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        if pid != "1":
            reached.append("process " + pid)
        for name in ("environ", "mem", "maps", "syscall", "stack", "auxv", "io"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    if f.read(1) or name == "mem":
                        reached.append([pid, name])
            except OSError:
                pass
        for name in ("root", "cwd", "exe", "fd", "map_files", "ns/mnt"):
            reached += succeeded([pid, name], lambda: os.listdir(f"/proc/{pid}/{name}") if name != "exe" else os.readlink(f"/proc/{pid}/exe"))
    for name in ("oom_score_adj", "coredump_filter", "uid_map", "gid_map", "setgroups", "attr/current", "mem", "timerslack_ns", "clear_refs", "comm"):
        reached += succeeded("own " + name, lambda: os.close(os.open("/proc/self/" + name, os.O_WRONLY)))
    return reached
