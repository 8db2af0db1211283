# tries: to keep the reader busy, or fill memory, with files without number and folders without end beside outputs/
# protection: the mount's number of inodes, a bound on the depth, and the limits on what is sent, looked at before it is read
# inside: [28]
# files: 00000, 00001, 00002, 00003, 00004, 00005, 00006, 00007, 00008, 00009, 00010, 00011, 00012, 00013, 00014, 00015,
#   00016, 00017, 00018, 00019, 00020, 00021, 00022, 00023, 00024, 00025, 00026, 00027, 00028, 00029, 00030, 00031,
#   00032, 00033, 00034, 00035, 00036, 00037, 00038, 00039, 00040, 00041, 00042, 00043, 00044, 00045, 00046, 00047,
#   00048, 00049, 00050, 00051, 00052, 00053, 00054, 00055, 00056, 00057, 00058, 00059, 00060, 00061, 00062, 00063
# outside: next at once
# within: 8s
import os


def main():
    home = os.getcwd()
    for wide in range(100):
        os.makedirs(f"d{wide}/" + "/".join("d" * 14))
    os.chdir("d0")
    for _ in range(2000):
        os.makedirs("e")
        os.chdir("e")
    os.chdir(home)
    for i in range(1_000_000):
        try:
            os.close(os.open(f"{i:05}", os.O_CREAT | os.O_WRONLY))
        except OSError as error:
            return [error.errno]
