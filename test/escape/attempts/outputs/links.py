# tries: to get files of the sandbox or the machine returned through links in outputs/
# incident: CVE-2024-28185 and CVE-2024-28189 (Judge0): a link planted where the service writes or reads as root
# protection: O_NOFOLLOW at every step, inside the sandbox; the worker opens no file
# inside: 1
# files: d/real, hard, real
import os


def main():
    os.makedirs("outputs/d")
    for name in ("outputs/real", "outputs/d/real"):
        open(name, "w").close()
    for i, target in enumerate(("/etc/passwd", "/etc/shadow", "/proc/self/environ", "/proc/1/root/etc/shadow", CANARY + "/file", "real", "..", "/")):
        os.symlink(target, f"outputs/link{i}")
        os.symlink(target, f"outputs/d/link{i}")
    os.link("outputs/real", "outputs/hard")
    return 1
