# tries: to find an interface or a neighbour's sockets in the network namespace
# incident: a network namespace shared by jobs let datagram pairs receive a neighbour's data and descriptors
# protection: a network namespace of its own for each sandbox
# inside: [0,["lo"]]
# gvisor: ~\[[0-9]+,\["lo"\]\]
import os


def main():
    # Without subset=pid this would list the unix sockets of all processes.
    seen = 0
    if os.path.exists("/proc/self/net/unix"):
        with open("/proc/self/net/unix") as f:
            seen = sum("@" in line or "/" in line for line in f.readlines()[1:])
    with open("/proc/self/net/dev") as f:
        names = [line.split(":")[0].strip() for line in f.readlines()[2:]]
    return [seen, names]
