"""Entry of the runner: `python -I -B main.py --status-fd N --channel-fd N`.

Kept tiny, because Python never caches the bytecode of the file it is started
with. The package is made by hand rather than through sys.path, so that nothing
beside the runner becomes importable for the script.
"""

import os
import sys

_package = type(sys)("runner")
_package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
sys.modules["runner"] = _package

from runner import supervisor  # noqa: E402  (the package has to exist first)

if __name__ == "__main__":
    supervisor.main(sys.argv[1:])
