"""The Python program that runs inside the sandbox; see protocol.md."""
