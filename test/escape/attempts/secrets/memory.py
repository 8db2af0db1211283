# tries: the worker's secrets, Redis's address and other jobs' scripts in the memory that it inherited
# protection: the zygote holds nothing secret and never runs user code
# inside: []
import re


def main():
    # Spelled so that this script's own text does not match.
    needles = re.compile(rb"the-worker-knows-this-[0-9]{6}|REDIS_URL[=]u|/redis\.sock|cellblock-stack-[0-9]{4}|left-by-a-job-[0-9]{6}")
    found = set()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.readlines():
            fields = line.split()
            if not fields[1].startswith("r") or (len(fields) > 5 and fields[5] in ("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            if len(fields) > 5 and fields[5].startswith("/") and "w" not in fields[1]:
                continue
            try:
                memory.seek(start)
                found |= set(needles.findall(memory.read(end - start)))
            except (OSError, OverflowError, ValueError):
                pass
    return sorted(x.decode() for x in found)
