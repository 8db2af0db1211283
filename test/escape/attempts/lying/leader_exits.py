# tries: to end the first thread while another continues: the process looks dead but is not
# protection: the worker waits for the end of the whole process, and has its own clock
# inside: timeout
# limits: tight
# outside: next at once
import threading, time


def main():
    threading.Thread(target=time.sleep, args=(600,)).start()
    syscall(60, 0)
