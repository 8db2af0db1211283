# tries: shared memory, message queues and semaphores that remain after the job has ended
# protection: the filter, an ipc namespace, a /dev/shm of its own
# inside: []
from multiprocessing import shared_memory


def main():
    made = []
    for name, number in (("shmget", 29), ("semget", 64), ("msgget", 68), ("mq_open", 240)):
        if syscall(number, 0, 4096, 0o1666)[0] != -1:
            made.append(name)
    shared_memory.SharedMemory("left-behind", create=True, size=4096)
    return made
