# tries: to write a file as large as one that it was given
# protection: the runner lowers RLIMIT_FSIZE, hard, before any code of the script's
# request: {"files": [{"path": "given", "content": "x"}]}
# inside: []
import resource


def main():
    got = succeeded("limit", resource.setrlimit, resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))
    for name in ("given", "new"):
        with open(name, "ab") as f:
            got += succeeded(name, f.truncate, 2 << 20)
    return got
