# tries: all the memory of the machine
# protection: memory.limit_in_bytes, memory.max
# inside: memory_limit | exception
# outside: next at once
# limits: tight
def main():
    kept = []
    for _ in range(600):
        kept.append(bytearray(1 << 20))
    return "beyond the limit"
