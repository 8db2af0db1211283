# tries: to make the reader wait for the other end of a pipe, or read a socket or device
# incident: go-judge #176: a FIFO as output file blocked the service
# protection: regular files only
# inside: []
# files: real
# within: 5s
import os, socket, stat


def main():
    os.mkdir("outputs")
    os.mkfifo("outputs/fifo")
    pair = socket.socketpair()
    os.symlink(f"/proc/self/fd/{pair[0].fileno()}", "outputs/socket")
    made = succeeded("device", os.mknod, "outputs/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    open("outputs/real", "w").close()
    os.symlink("/dev/zero", "outputs/zero")
    return made
