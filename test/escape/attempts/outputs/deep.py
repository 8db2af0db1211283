# tries: to make the reader follow folders without end
# protection: a bound on the depth
# inside: 1
# files: top
# within: 8s
import os


def main():
    os.mkdir("outputs")
    open("outputs/top", "w").close()
    os.chdir("outputs")
    for _ in range(2000):
        os.mkdir("d")
        os.chdir("d")
    open("bottom", "w").close()
    return 1
