# tries: the first thread ends, and another goes on: the process looks dead and is not
# protection: the end is that of the whole process, and the worker's own clock
# inside: timeout
# limits: tight
# outside: next at once
import threading, time


def main():
    threading.Thread(target=time.sleep, args=(600,)).start()
    syscall(60, 0)
