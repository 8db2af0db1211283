# tries: to make the worker store more files than allowed
# protection: the worker's bound on their number
# inside: files_too_large
# files:
# within: 8s
import os


def main():
    os.mkdir("outputs")
    for i in range(10_000):
        os.close(os.open(f"outputs/{i}", os.O_CREAT | os.O_WRONLY))
    return 1
