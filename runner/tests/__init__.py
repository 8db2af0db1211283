"""The runner's own tests, with the standard library only.

    cd runner && python3 -m unittest discover

Those that need numpy or pandas are skipped where the interpreter lacks them.
"""

import sys
from pathlib import Path

# The package `runner` is the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
