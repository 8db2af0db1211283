# tries: to get files stored or saved outside their folder by their names
# protection: names are data: the service uses none in a path, and replaces characters that are invalid elsewhere
# inside: 1
# files: _.profile, a_b_, con_, con_~2, x__.._.._etc_passwd, x_.._.._etc_passwd, _-rf _
import os


def main():
    os.mkdir("outputs")
    for name in ("\u202e-rf \u202d", "\n.profile", "a\rb\x7f", "con%", "con_", "x\\..\\..\\etc\\passwd", "x%\\..\\..\\etc\\passwd"):
        open("outputs/" + name, "w").close()
    return 1
