# tries: to have the worker reserve four gigabytes for a file that does not come
# protection: the bound on all files, looked at before any memory is taken
# inside: files_too_large
# within: 6s
import os, time


def main():
    os.write(3, b"F\xff\xff\xff\xff\0\1a")
    time.sleep(60)
