# tries: os._exit(0) while its result is turned into JSON
# protection: no report and a known exit code: exit, not success
# inside: exit | not_serializable
import os


class Late(dict):
    def items(self):
        os._exit(0)


def main():
    return Late(a=1)
