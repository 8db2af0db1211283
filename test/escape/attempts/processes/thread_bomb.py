# tries: threads without end
# protection: pids.max and RLIMIT_NPROC
# inside: exception | process_limit
# outside: next at once
# limits: tight
import threading, time


def main():
    while True:
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
