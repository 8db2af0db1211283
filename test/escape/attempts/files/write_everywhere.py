# tries: to write into every mount and every folder below it that can be found
# incident: nsjail's read-only remount is not recursive; Windmill met a submount that stayed writable
# protection: read-only binds in a mount namespace, files that belong to others, no capabilities
# inside: []
# gvisor: ~\[("(/|/dev/(null|zero|random|urandom)) utime",?|"/proc/[0-9]+(/task/[0-9]+)?/fd(info)? (chmod|utime)",?)+\]
# outside: canary
import os


def main():
    with open("/proc/self/mountinfo") as f:
        mounts = [line.split()[4] for line in f]
    wrote = []

    def attempt(folder):
        if folder == "/tmp" or folder.startswith(("/tmp/", "/dev/shm")):
            return
        path = os.path.join(folder, "written-by-a-script")
        wrote.extend(succeeded(path, lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY))))
        wrote.extend(succeeded(folder + " chmod", os.chmod, folder, 0o777))
        wrote.extend(succeeded(folder + " utime", os.utime, folder))

    for mount in mounts:
        attempt(mount)
        if not mount.startswith("/proc") and os.path.isdir(mount):
            for at, folders, _ in os.walk(mount):
                folders[:] = folders[:40]
                if at.count("/") > mount.count("/") + 3:
                    folders.clear()
                attempt(at)
    return wrote[:20]
