"""What schemathesis cannot make up: scripts that run.

Half of the requests to run something get one of these, with the inputs that were
made up, so that what lies behind the checks of a request is met as well.
"""

import json
from typing import Any

import schemathesis

_SCRIPTS = (
    "def main(**args):\n    return args\n",
    "import sys\ndef main(**_):\n    return sys.stdin.read()\n",
    "import os\ndef main(**_):\n    return dict(os.environ)\n",
    "import os\ndef main(**_):\n    return sorted(os.listdir('.'))\n",
    "import os\ndef main(**a):\n    os.mkdir('outputs')\n    open('outputs/a', 'w')\n",
    "import shutil\ndef main(**_):\n    shutil.copytree('.', 'outputs')\n",
    "def main(**args):\n    raise ValueError(args)\n",
    "def main(**args):\n    print(args)\n    return {1}\n",
    "import time\ndef main(**_):\n    time.sleep(0.3)\n",
    # Of the other entries; main() ends these as missing_main.
    "import sys\nprint(sys.argv)\nsys.exit(len(sys.argv))\n",
    "display('a', {1: 2})\n[1, 2]\n",
    "import os\nos._exit(0)\n",
)


@schemathesis.hook
def before_call(_: Any, case: Any, _kwargs: Any) -> None:
    """Put a script that runs into the place of one that does not.

    A valid start_within becomes a minute: by the contract, a job that asked for a
    millisecond may end as 503 not_started, which is no server error.

    A stored file has the media type of its upload, whatever it contains, and
    schemathesis would parse it by that: so it gets one that nothing parses.
    """
    body = case.body
    if case.operation.path == "/files" and case.media_type is not None:
        case.headers["Content-Type"] = "application/octet-stream"
    if case.operation.path == "/execute" and isinstance(body, dict):
        within = body.get("start_within")
        if isinstance(within, int | float) and 0 < within < 60 and within is not True:
            body["start_within"] = 60
        number = hash(str(body)) % (2 * len(_SCRIPTS))
        if number < len(_SCRIPTS) and isinstance(body.get("script"), str):
            body["script"] = _SCRIPTS[number]


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Send a batch as it is; every second one gets jobs that run and a bad line."""
    text = value if isinstance(value, str) else json.dumps(value)
    if hash(text) % 2:
        jobs = [json.dumps({"script": script}) for script in _SCRIPTS]
        text = "\n".join([*jobs, text, '{"script": 1}'])
    return text.encode("utf-8", "surrogatepass")
