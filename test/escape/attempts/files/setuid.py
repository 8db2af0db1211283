# tries: to become root by setuid programs, those that are mounted and one of its own
# incident: CVE-2021-3156 (sudo), CVE-2021-4034 (pkexec)
# protection: nosuid, no_new_privs, a user namespace
# inside: []
import os, subprocess


def main():
    became = []
    for name in ("su", "mount", "umount", "passwd", "newgrp", "chsh", "sudo", "pkexec"):
        path = "/usr/bin/" + name
        if os.path.exists(path) and os.stat(path).st_mode & 0o6000:
            code = "import os,sys; sys.exit(os.geteuid() == 0)"
            r = subprocess.run([path, "--version"], capture_output=True, timeout=5)
            if b"uid=0" in r.stdout:
                became.append(path)
    with open("/usr/bin/id", "rb") as source, open("/tmp/id", "wb") as copy:
        copy.write(source.read())
    os.chmod("/tmp/id", 0o6755)
    out = subprocess.run(["/tmp/id"], capture_output=True, text=True).stdout
    if "=0" in out or 0 in (*os.getresuid(), *os.getresgid()):
        became.append(out)
    became += succeeded("setuid", os.setuid, 0) + succeeded("setgid", os.setgid, 0) + succeeded("setgroups", os.setgroups, [0])
    became += succeeded("setresuid", os.setresuid, 0, 0, 0) + succeeded("chown", os.chown, "/tmp/id", 0, 0)
    with open("/proc/self/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    became += [[k, status[k]] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if status[k].strip("0")]
    if status["NoNewPrivs"] != "1" or status["Seccomp"] != "2":
        became.append("no_new_privs or the filter is off")
    if status["Groups"].split() not in ([], ["1000"]) and "0" in status["Groups"].split():
        became.append("groups " + status["Groups"])
    return became
