"""Entry of the runner: a cold sandbox's supervisor, or `main.py zygote …`.

It is tiny, because Python never caches the bytecode of the file it is started with. It
makes the package itself instead of using sys.path, so that the script can import
nothing beside the runner.
"""

import os
import sys

_package = type(sys)("runner")
_package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
sys.modules["runner"] = _package

if __name__ == "__main__":
    if sys.argv[1:2] == ["zygote"]:
        from runner import zygote

        zygote.main(sys.argv[2:])
    from runner import supervisor

    supervisor.main(sys.argv[1:])
