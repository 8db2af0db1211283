"""Keeps the memory of a zygote shared with its forks.

A fork shares each page with the zygote until one of them writes to it; then the kernel
copies the page. Nearly all such writes are to reference counts. From version 3.12 on,
CPython does not count the references to an immortal object (PEP 683), and never frees
it.
"""

import ctypes
import gc

# The reference count of an object is in the 32 bits at its start. The object is
# immortal if they are negative as a signed number (3.12, 3.13), or at least 3 << 30
# (3.14); see Include/refcount.h. A build without the interpreter lock has something
# else there, which is 0 for None.
_LEAST_IMMORTAL = 0x80000000
# include/uapi/asm-generic/mman-common.h: Linux 6.1 and later.
_MADV_COLLAPSE = 25
_HUGE_PAGE = 2 << 20


def immortalize() -> int:
    """Make every object that the garbage collector can reach immortal.

    Returns their number: 0 if this interpreter has no immortal objects.
    """
    count_at = ctypes.c_uint32.from_address
    immortal = count_at(id(None)).value
    if immortal < _LEAST_IMMORTAL:
        return 0
    referents, roots, found = gc.get_referents, gc.get_objects(), 0
    pending: list[object] = []
    for root in roots:
        pending.append(root)
        # Marked as it is met: so none is met twice, and nothing else need be kept.
        while pending:
            met = pending.pop()
            if met is pending or met is roots:
                continue
            count = count_at(id(met))
            if count.value >= _LEAST_IMMORTAL:
                continue
            count.value = immortal
            found += 1
            pending.extend(referents(met))
    return found


def use_large_pages() -> int:
    """Merge the memory of this process into pages of 2 MiB, as far as the kernel can.

    A fork then copies one entry for each instead of 512, and its end frees one. Returns
    the number of ranges that were merged.
    """
    madvise, merged = ctypes.CDLL(None).madvise, 0
    for first, last in _private_ranges():
        start = -(-first // _HUGE_PAGE) * _HUGE_PAGE
        length = last // _HUGE_PAGE * _HUGE_PAGE - start
        if length > 0:
            address, size = ctypes.c_void_p(start), ctypes.c_size_t(length)
            # An error, as of an older kernel, changes nothing.
            merged += madvise(address, size, _MADV_COLLAPSE) == 0
    return merged


def _private_ranges() -> list[tuple[int, int]]:
    ranges = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            place, rights, _, _, inode, *name = line.split()
            if rights == "rw-p" and inode == "0" and name != ["[stack]"]:
                first, last = (int(part, 16) for part in place.split("-"))
                ranges.append((first, last))
    return ranges
