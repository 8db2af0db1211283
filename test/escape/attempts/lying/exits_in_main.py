# tries: os._exit(0) in main
# protection: no report and a known exit code: exit, not success
# inside: exit
import os


def main():
    os._exit(0)
