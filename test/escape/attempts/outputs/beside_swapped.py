# tries: to put links into the place of a file and a folder beside outputs/ between the look and the reading
# protection: what is opened is what is looked at; links are never followed
# inside: 1
# files: d/f, f|d/f|f|
import os, subprocess, sys


def main():
    os.mkdir("d")
    for name in ("f", ".g", "d/f"):
        open(name, "w").close()
    swap = """
import os
while True:
    os.symlink("/etc/passwd", ".l"); os.rename(".l", "f")
    os.link(".g", ".h"); os.rename(".h", "f")
    os.rename("d", ".d"); os.symlink("/etc", "d")
    os.unlink("d"); os.rename(".d", "d")
"""
    subprocess.Popen([sys.executable, "-c", swap], stderr=subprocess.DEVNULL)
    return 1
