# tries: mount, umount, pivot_root, chroot, move_mount, open_tree, fsopen
# protection: the filter, no capabilities
# inside: []
import os


def main():
    done = []
    for name, number, arguments in (
        ("mount", 165, (b"x", b"/tmp", b"tmpfs", 0, 0)), ("remount", 165, (0, b"/usr/lib", 0, 0x1020, 0)),
        ("umount", 166, (b"/tmp", 2)), ("pivot_root", 155, (b"/tmp", b"/tmp")), ("chroot", 161, (b"/tmp",)),
        ("open_tree", 428, (-100, b"/", 1)), ("move_mount", 429, (-100, b"/", -100, b"/tmp", 0)), ("fsopen", 430, (b"tmpfs", 0)),
        ("mount_setattr", 442, (-100, b"/", 0, 0, 0)), ("name_to_handle_at", 303, (-100, b"/", 0, 0, 0)),
        ("open_by_handle_at", 304, (-100, b"x" * 16, 0)), ("swapon", 167, (b"/tmp/x", 0)), ("sethostname", 170, (b"x", 1)),
    ):
        if syscall(number, *arguments)[0] != -1:
            done.append(name)
    return done
