"""The runner's own tests; they need the standard library only.

    cd runner && python3 -m unittest discover

Tests of numpy and pandas are skipped if the interpreter lacks them.
"""

import sys
from pathlib import Path

# The package `runner` is the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
