# tries: to break json, os, sys, builtins, io and signal, and with them the runner's response
# protection: the runner keeps its own references
# inside: {"fine":[1,2.5,"x"]}
import builtins, io, json, os, signal, struct, sys


def main():
    def broken(*_, **__):
        raise SystemExit("broken")

    for module in (json, os, struct, io, json.encoder, json.decoder, signal):
        for name in dir(module):
            if callable(getattr(module, name)) and not name.startswith("__"):
                setattr(module, name, broken)
    for name in ("len", "isinstance", "type", "str", "bytes", "print", "open", "getattr", "issubclass", "repr"):
        setattr(builtins, name, broken)
    sys.stdout = sys.stderr = None
    sys.exit = broken
    return {"fine": [1, 2.5, "x"]}
