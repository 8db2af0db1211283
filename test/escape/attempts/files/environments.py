# tries: to change the files of the job's own environment, and to find the packages of another one
# protection: read-only binds, of which only the job's own environment is one
# inside: []
import importlib
import os
import sys


def main():
    done = []
    own = []
    for folder, _, names in os.walk(sys.prefix):
        own += [folder] + [f"{folder}/{name}" for name in names[:5]]
        if len(own) > 400:
            break
    for path in own:
        for name, call in {
            "write": lambda: os.close(os.open(path, os.O_WRONLY)),
            "make": lambda: os.mkdir(path + ".made"),
            "rename": lambda: os.rename(path, path + ".moved"),
            "link": lambda: os.symlink("/tmp", path + ".link"),
            "mode": lambda: os.chmod(path, 0o777),
            "times": lambda: os.utime(path),
        }.items():
            try:
                call()
                done.append(f"{name} {path}")
            except OSError:
                pass
    # The suite's workers have an environment of this name.
    try:
        importlib.import_module("neighbour_module")
        done.append("import")
    except ImportError:
        pass
    mine = os.path.realpath(sys.prefix)
    for top in ("/var", "/opt", "/srv", "/home", "/mnt", "/usr/local", "/tmp", "/dev/shm", os.path.dirname(mine)):
        for folder, folders, names in os.walk(top):
            if folder == mine:
                folders.clear()
            elif "environment.json" in names or "neighbour_module.py" in names:
                done.append(f"found {folder}")
    return done[:20]
