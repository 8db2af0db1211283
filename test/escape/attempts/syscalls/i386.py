# tries: calls by int 0x80, the 32-bit entry, where other numbers mean other calls
# incident: filters that do not check the architecture are bypassed in this way
# protection: the filter kills calls of another architecture
# inside: []
import ctypes, mmap, platform


def main():
    if platform.machine() != "x86_64":
        return []
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call = ctypes.CFUNCTYPE(ctypes.c_int)(address)
    died = []
    for number in (1, 4, 20, 26, 120, 359):  # exit, write, getpid, ptrace, clone, socket
        # push rbx; xor ebx, ecx, edx; mov eax, number; int 0x80; pop rbx; ret
        page[0:19] = b"\x53\x31\xdb\x31\xc9\x31\xd2\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\x5b\xc3" + b"\x90" * 3
        died.append(in_child(call))
    return [d for d in died if d != -31]
