# tries: os._exit(0) while the script is loaded
# protection: no report and a known exit code: exit, not success
# inside: exit
import os

os._exit(0)


def main():
    return 1
