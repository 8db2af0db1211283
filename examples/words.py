"""Count the most frequent words of a file: words.py FILE [HOW_MANY]."""

import collections
import pathlib
import re
import sys

if len(sys.argv) < 2:
    sys.exit("usage: words.py FILE [HOW_MANY]")
text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").lower()
how_many = int(sys.argv[2]) if len(sys.argv) > 2 else 10
for word, count in collections.Counter(re.findall(r"\w+", text)).most_common(how_many):
    print(f"{count:5} {word}")
