# tries: to have a whole folder sent back by a link in the place of outputs/
# protection: O_NOFOLLOW
# inside: 1
import os


def main():
    os.symlink("/etc", "outputs")
    return 1
