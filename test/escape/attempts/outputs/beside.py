# tries: to have files of the sandbox or the machine sent back by what lies beside outputs/, or the reader wait there
# incident: CVE-2024-28185 (Judge0) and go-judge #176, with the working directory in the place of a folder for files
# protection: O_NOFOLLOW and O_NONBLOCK at every step, inside the sandbox; regular files only; names are data
# inside: []
# files: 100_, a_b, d/real, exe_gpj, hard, real, _
# within: 5s
import os, socket, stat


def main():
    os.mkdir("d")
    for name in ("real", "d/real"):
        open(name, "w").close()
    for i, target in enumerate(("/etc/passwd", "/proc/self/environ", "/proc/1/root/etc/shadow", CANARY + "/file", "real", "..", "/", "/etc", "/dev/zero")):
        os.symlink(target, f"link{i}")
        os.symlink(target, f"d/link{i}")
    os.link("real", "hard")
    os.mkfifo("fifo")
    os.mkfifo("d/fifo")
    pair = socket.socketpair()
    os.symlink(f"/proc/self/fd/{pair[0].fileno()}", "socket")
    for name in (b"a\nb", b"\xff", b"100%", "exe\u202egpj".encode(), b"..\\..\\x"):
        open(name, "w").close()
    made = succeeded("device", os.mknod, "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return made + succeeded("sparse", os.truncate, "real", 1 << 50)
