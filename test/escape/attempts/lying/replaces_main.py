# tries: to replace main, its module and the runner's own, while it runs
# protection: what is called is bound before; at worst it forges its own answer
# inside: "the first"
import gc, sys


def main():
    sys.modules["script"].main = lambda: "the second"
    globals()["main"] = lambda: "the third"
    for name in list(sys.modules):
        if name.startswith("runner"):
            del sys.modules[name]
    return "the first"
