# tries: to make the worker allocate four gigabytes for a file that never comes
# protection: the bound on all files, checked before any memory is allocated
# inside: files_too_large
# files:
# within: 6s
import os, time


def main():
    os.write(3, b"F\xff\xff\xff\xff\0\1a")
    time.sleep(60)
