# tries: to read the path of its cgroup on this machine in /proc/self/cgroup
# protection: a cgroup namespace, made when the group was joined. A cold sandbox joins later, and sees a name and a number
# inside: []
# only: warm
def main():
    with open("/proc/self/cgroup") as f:
        return [line.strip() for line in f if "cellblock" in line]
