# tries: nothing: asks whether its process group and its session are its own, since SIGCONT and kill(0, …) go by them
# incident: kill(0, …) ignores pid namespaces: without setsid a job killed its neighbour, or woke it
# protection: setsid in each fork
# inside: [true,true]
import os


def main():
    return [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()]
