# tries: to send files with chosen paths over the channel, and then a result
# protection: names are data, and the channel is bounded
# inside: 1
# files: _../_../etc/cron.d/x, _/etc/shadow
import os, struct


def main():
    for name in (b"../../etc/cron.d/x", b"/etc/shadow"):
        content = b"* * * * * root id"
        os.write(3, b"F" + struct.pack(">IH", 2 + len(name) + len(content), len(name)) + name + content)
    os.write(3, b"R\0\0\0\x011")
    os._exit(0)
