# tries: to reach eventpoll, of which watches within watches are not counted either
# incident: CVE-2026-43074, CVE-2026-46242 (use after free of an epoll set that is closed beside its removal)
# protection: the filter, unless SANDBOX_EPOLL is set; selectors and asyncio use poll() then
# inside: []
import asyncio, select, selectors, socket


async def echo():
    a, b = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=a)
    _, other = await asyncio.open_connection(sock=b)
    other.writelines([b"x" * 300_000, b"\n"])
    line = await asyncio.gather(reader.readexactly(300_001), other.drain())
    writer.close()
    return len(line[0])


def main():
    done = succeeded("select.epoll", select.epoll)
    for name, number, arguments in (
        ("epoll_create", 213, (1,)), ("epoll_create1", 291, (0,)), ("epoll_ctl", 233, (0, 1, 0, b"")),
        ("epoll_wait", 232, (0, b"", 1, 0)), ("epoll_pwait", 281, (0, b"", 1, 0, 0)), ("epoll_pwait2", 441, (0, b"", 1, 0, 0)),
    ):
        if syscall(number, *arguments) != (-1, 38):
            done.append(name)
    if selectors.DefaultSelector is not selectors.PollSelector:
        done.append(selectors.DefaultSelector.__name__)
    if asyncio.run(echo()) != 300_001:
        done.append("asyncio")
    return done
