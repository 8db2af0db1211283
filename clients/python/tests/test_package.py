"""The folder can be installed, and has the expected content."""

import subprocess
import sys
from pathlib import Path

import httpx

FOLDER = Path(__file__).resolve().parents[1]

CHECK = """
import importlib.metadata, importlib.resources, sys, cellblock
print(cellblock.__file__)
assert importlib.resources.files("cellblock").joinpath("py.typed").is_file()
assert importlib.metadata.version("cellblock-client") == cellblock.__version__
requires = importlib.metadata.requires("cellblock-client")
always = [each for each in requires if "extra ==" not in each]
assert [each[:5] for each in always] == ["httpx"], requires
import cellblock.openai
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"langchain_core", "openai", "pydantic"}, loaded
"""


def test_the_folder_can_be_installed(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    # Dependencies and build tools come from the tests' environment, not the network.
    tools = str(Path(httpx.__file__).parents[1])
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", fresh / "bin" / "python"),
            *("--quiet", "--disable-pip-version-check", "install", "--no-index"),
            *("--no-build-isolation", FOLDER),
        ],
        check=True,
        env={"PYTHONPATH": tools, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
    )
    found = subprocess.run(
        [fresh / "bin" / "python", "-W", "error", "-c", CHECK],
        check=True,
        env={"PYTHONPATH": tools},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert found.stdout.startswith(str(fresh))
