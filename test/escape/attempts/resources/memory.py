# tries: all the memory of the machine
# protection: memory.limit_in_bytes, memory.max
# inside: memory_limit | exception | killed SIGKILL
# outside: next at once
# limits: tight
def main():
    kept = []
    while True:
        kept.append(bytearray(1 << 20))
