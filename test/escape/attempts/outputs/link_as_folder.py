# tries: to get a whole folder returned by replacing outputs/ with a link
# protection: O_NOFOLLOW
# inside: 1
# files: f
import os


def main():
    os.rmdir("outputs")
    os.symlink("/etc", "outputs")
    open("f", "w").close()
    return 1
