# tries: to change flags and owners of descriptors that a neighbour could share: stdin, the outputs, the channel
# incident: a /dev/null that the zygote had opened shared its flags with every fork
# protection: each is opened for each job
# beside: beside/listener
# inside: "changed"
import fcntl, os, signal


def main():
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    for fd in (0, 1, 2):
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK | os.O_APPEND | 0x2000)
        succeeded("owner", fcntl.fcntl, fd, fcntl.F_SETOWN, -1)
    try:
        os.utime("/dev/null")
    except OSError:
        pass
    for fd in (1, 2):
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    return "changed"
