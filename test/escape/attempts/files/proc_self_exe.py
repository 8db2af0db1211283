# tries: to overwrite the interpreter that runs it, by /proc/self/exe
# incident: CVE-2019-5736 (runc)
# protection: read-only binds, files that belong to others
# inside: []
import os, sys


def main():
    wrote = []
    for path in ("/proc/self/exe", "/proc/1/exe", sys.executable, os.path.realpath(sys.executable), os.__file__, "/runner/job.py"):
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
            wrote += succeeded([path, flags], lambda: os.close(os.open(path, flags)))
    return wrote
