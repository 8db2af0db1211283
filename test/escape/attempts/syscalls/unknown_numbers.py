# tries: numbers that no kernel has yet, or that only newer ones have
# protection: the filter's default, ENOSYS, so that what a new kernel adds is not reachable
# inside: []
def main():
    import platform

    # The list has names up to 471; 337 to 423 are a gap on x86-64.
    numbers = [*range(472, 1200), 0x3FFFFFFF]
    if platform.machine() == "x86_64":
        numbers += range(337, 424)
    return [n for n in numbers if syscall(n, 0, 0, 0, 0, 0, 0) != (-1, 38)]
