# tries: an integer of 10^9 digits, and text of it
# protection: the CPU limit, the memory limit, Python's own bound on digits
# inside: exception | cpu_limit | memory_limit | timeout
# limits: tight
def main():
    return str(10 ** (10**9))
