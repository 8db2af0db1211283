# tries: nothing: reads from mountinfo that every mount but those of its own is read-only, nosuid and nodev
# incident: a submount that a recursive bind brought along stays as it was
# protection: read-only binds
# inside: []
def main():
    wrong = []
    with open("/proc/self/mountinfo") as f:
        for line in f:
            fields = line.split()
            at, options = fields[4], fields[5].split(",")
            if at in ("/tmp", "/dev/shm"):
                wanted = {"rw", "nosuid", "nodev"} | ({"noexec"} if at != "/tmp" else set())
            elif at in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
                wanted = {"nosuid"}
            elif at in ("/etc/passwd", "/etc/group") or at == "/":
                wanted = {"ro"}
            elif at.startswith("/proc") or at.startswith("/dev/shm"):
                continue
            else:
                wanted = {"ro", "nosuid", "nodev"}
            if not wanted <= set(options):
                wrong.append([at, options])
    return wrong
